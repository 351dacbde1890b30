const json = (text: string) => JSON.stringify(text).slice(1, -1)
/** A text in every encoding, as its bytes are printed: whole lines. */
export function printed(text: string): string[] {
  const base64 = ['', 'a', 'ab'].flatMap((before) => ['', ':x'].map((behind) => before + text + behind))
  const encoded = base64.map((one) => Buffer.from(one).toString('base64'))
  return [text, JSON.stringify({ text }), `https://h/?x=${encodeURIComponent(text)}&y=1`, ...encoded]
}

/** What of a text must be seen nowhere. The characters at the edges of base64 mix with what stands beside it. */
export function traces(text: string): string[] {
  const base64 = [0, 1, 2].map((shift) => {
    const encoded = Buffer.from('\0'.repeat(shift) + text).toString('base64')
    return encoded.slice(shift === 0 ? 0 : 4, -4)
  })
  const lines = text.split('\n').filter((line) => line.length >= 8)
  const whole = [text, ...lines, json(text), json(json(text)), encodeURIComponent(text), ...base64]
  return [...new Set([...whole, ...whole.map(json)])]
}
