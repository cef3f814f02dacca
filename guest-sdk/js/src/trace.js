// Stacks that name the author's files and lines, though what runs is one bundle. The build puts a table of lines beside it.

const NO_TABLE = { sources: [], lines: [] };
let readTable = () => NO_TABLE;

/** `read` gives the table: `lines[n]` is the source's number and line for line n + 1 of the bundle, or 0; the kit's sources are null. */
export function installLines(read) {
  readTable = read;
}

/** An error with its stack, in the author's lines. */
export function mapped(error) {
  const head = String(error.message ? `${error.name}: ${error.message}` : error.name);
  const cause = error.cause instanceof Error ? `\ncaused by ${mapped(error.cause)}` : "";
  return [head, ...frames(error)].join("\n    at ") + cause;
}

/** The places of a stack, the innermost first, without those of the kit. */
export function frames(error) {
  const lines = String(error.stack ?? "").split("\n").map((line) => /^\s*at (.*)$/.exec(line)?.[1]);
  return lines.filter(Boolean).map(place).filter(Boolean);
}

function place(frame) {
  const table = readTable() ?? NO_TABLE;
  if (table.lines.length === 0) return frame;
  const [, name, file, line] = /^(?:(.*?) )?\(?(\S*?):(\d+)(?::\d+)?\)?$/.exec(frame) ?? [];
  // What is built into QuickJS has no place.
  if (!file) return undefined;
  const source = table.lines[Number(line) - 1];
  if (!source) return undefined;
  const path = table.sources[source[0]];
  // The kit's own frames say nothing to an author.
  if (path === null) return undefined;
  return `${name && name !== "<anonymous>" ? name : "(anonymous)"} (${path}:${source[1]})`;
}
