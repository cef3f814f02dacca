// Notes for whoever runs the batch, kept with the item.

import { host } from "./host.js";

const at = (level) => (message, fields = {}) => host().log(level, String(message), fields);

export const trace = at("trace");
export const debug = at("debug");
export const info = at("info");
export const warn = at("warn");
export const error = at("error");
