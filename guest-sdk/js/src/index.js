// What a plugin imports. Its types, with the documentation, are in types/index.d.ts.

export { Emission, Emissions } from "./data.js";
export { Failure, RetryLater, Skip } from "./failures.js";
export * as llm from "./llm.js";
export { LlmError } from "./llm.js";
export * as log from "./log.js";
