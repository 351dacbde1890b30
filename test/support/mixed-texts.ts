/** Texts of so many of these letters, as if by chance and the same in each run: no two have much in common. */
export function* mixedTexts(length: number, letters = 'ab'): Generator<string, never> {
  for (let state = 1; ;) {
    let text = ''
    while (text.length < length) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      text += letters[(state >> 16) % letters.length] ?? ''
    }
    yield text
  }
}
