// Math.random for a component. QuickJS seeds its own when it is built, so that every item would draw the same numbers.

/** A generator seeded by the texts: the same attempt of the same item draws the same numbers, another one others. */
export function seeded(...texts) {
  // FNV-1a for the seed, then sfc32 (PractRand), warmed up.
  let state = [0x811c9dc5, 0x9e3779b9, 0x243f6a88, 1];
  for (const letter of texts.join("\u0000")) {
    state = state.map((word, index) => Math.imul(word ^ (letter.codePointAt(0) + index), 0x01000193));
  }
  let [a, b, c, counter] = state.map((word) => word >>> 0);
  const word = () => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let round = 0; round < 15; round++) word();
  return () => ((word() >>> 5) * 0x4000000 + (word() >>> 6)) / 0x20000000000000;
}
