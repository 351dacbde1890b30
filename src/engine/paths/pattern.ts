/** What one part of a pattern of paths stands for. */
export type Part =
  | { readonly kind: 'character'; readonly key: string }
  /** One character of several. */
  | {
      readonly kind: 'some'
      readonly key: string
      readonly admits: (character: string) => boolean
      /** Comparisons that this takes at most. */
      readonly steps: number
    }
  /** `name`: any number of characters without a slash; `folders`: nothing, or all up to a slash; `rest`: all that follows. */
  | { readonly kind: 'name' | 'folders' | 'rest'; readonly key: string }

export type Pattern = readonly Part[]

/** One character but the slash. */
export const ANY: Part = { kind: 'some', key: '?', admits: (one) => one !== '/', steps: 1 }
export const NAME: Part = { kind: 'name', key: '*' }
export const FOLDERS: Part = { kind: 'folders', key: '**/' }
export const REST: Part = { kind: 'rest', key: '**' }

export function character(text: string): Part {
  return { kind: 'character', key: text }
}

/** What a pattern names, and all that is in it. */
export function withBelow(pattern: Pattern): Pattern[] {
  return [pattern, [...pattern, character('/'), REST]]
}
