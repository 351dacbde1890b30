import { LineDecoder } from './line-decoder.js'

/** Lines of a failing step that its error carries. */
const LAST_LINES = 100
/** UTF-16 units of all of a step's. Of steps that go on at the same time there may be hundreds. */
const MAX_LENGTH = 256 * 1024
/** UTF-16 units of a line of them. A longer one is left out as a whole: a part of it could have a part of a secret. */
const MAX_LINE_LENGTH = 64 * 1024
const TOO_LONG = '[a line of more than 64 KiB]'
// oxlint-disable-next-line no-control-regex
const NOTHING = /^(?:\x1b\[[0-9;]*m|\s)*$/

interface Kept {
  lines: string[]
  length: number
  /** By what they are written to: each is put together for itself. */
  readonly unfinished: Map<string, LineDecoder>
}

/** The last lines that each step of a build has written. */
export class StepLines {
  readonly #steps = new Map<string, Kept>()
  #newest = ''

  add(step: string, source: string, bytes: Buffer): void {
    const kept: Kept = this.#steps.get(step) ?? { lines: [], length: 0, unfinished: new Map() }
    this.#steps.set(step, kept)
    this.#newest = step
    const decoder = kept.unfinished.get(source) ?? new LineDecoder(MAX_LINE_LENGTH)
    kept.unfinished.set(source, decoder)
    for (const line of decoder.add(bytes)) keep(kept, line ?? TOO_LONG)
  }

  /** Of a step that has not failed. */
  forget(step: string): void {
    this.#steps.delete(step)
  }

  /** @param step null: the one that has written last */
  of(step: string | null): string[] {
    const kept = this.#steps.get(step ?? this.#newest)
    if (!kept) return []
    const unfinished = [...kept.unfinished.values()].map(({ rest }) => rest ?? TOO_LONG)
    return [...kept.lines, ...unfinished].filter((line) => !NOTHING.test(line)).slice(-LAST_LINES)
  }
}

function keep(kept: Kept, line: string): void {
  kept.lines.push(line)
  kept.length += line.length
  while (kept.lines.length > LAST_LINES || kept.length > MAX_LENGTH) {
    kept.length -= kept.lines.shift()?.length ?? 0
  }
}
