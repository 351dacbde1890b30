/** What is longer is no range that somebody wrote for people. */
const MAX_LENGTH = 200

/**
 * The first of `known` that a range of versions admits, as npm, Poetry and PEP 440 write ranges; the first of all where
 * the range is empty or not understood, null where it admits none. A version such as `22` or `3.13` stands for its newest
 * release.
 */
export function firstWithin(range: string, known: readonly string[]): string | null {
  const isUnknown = range.length > MAX_LENGTH || !/^[\d.\sx*X<>=^~!|,v-]*$/.test(range)
  if (isUnknown || range.trim() === '') return known[0] ?? null
  const alternatives = range.split('||').map((one) =>
    one
      .replace(/^\s*v?([\d.]+)\s+-\s+v?([\d.]+)\s*$/, '>=$1 <=$2')
      .replace(/([<>=^~!])\s+/g, '$1')
      .split(/[\s,]+/)
      .filter((token) => token !== ''),
  )
  const isWithin = (version: string) =>
    alternatives.some((tokens) => tokens.every((token) => admits(token, version.split('.').map(Number))))
  return known.find(isWithin) ?? null
}

/** @param version as many parts as an image's name has */
function admits(token: string, version: readonly number[]): boolean {
  const [, operator = '', text = ''] = /^(\D*?)v?(\d.*)?$/.exec(token) ?? []
  // `20.x` and `3.*` are `20` and `3`.
  const parts = text
    .split(/\.?[xX*]/, 1)
    .join('')
    .split('.')
    .filter(Boolean)
    .map(Number)
  const { length } = version
  const isExact = parts.length > length
  const order = compare(version, parts, length)
  const isSame = (depth: number) => compare(version, parts, Math.min(depth, parts.length, length)) === 0
  switch (operator) {
    case '>=':
      return order >= 0
    case '>':
      return isExact ? order >= 0 : compare(version, parts, Math.min(parts.length, length)) > 0
    case '<':
      return order < 0
    case '<=':
      return isExact ? order < 0 : compare(version, parts, Math.min(parts.length, length)) <= 0
    case '!=':
      return isExact || !isSame(length)
    case '^':
      return isSame(1) && order >= 0
    case '~=':
      return isSame(Math.max(parts.length - 1, 1)) && order >= 0
    default:
      return isSame(length)
  }
}

/** By the first parts; those that are not named are 0. */
function compare(a: readonly number[], b: readonly number[], depth: number): number {
  for (let at = 0; at < depth; at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
