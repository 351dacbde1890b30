import { setTimeout as sleep } from 'node:timers/promises'

/** Time for all undoing together: longer than a container's removal takes, shorter than a process's stop. */
const UNDO_MS = 15_000

/** What has to be taken back when a later step fails: newest first. */
export class UndoStack {
  #undos: (() => Promise<void>)[] = []

  /** @param isAllowed asked right before each undo; no means that this process may not touch anything any more */
  constructor(private readonly isAllowed: () => Promise<boolean> = () => Promise.resolve(true)) {}

  /** Registers before the step that it undoes, so that a step which fails half way is undone too. */
  push(undo: () => Promise<void>): void {
    this.#undos.push(undo)
  }

  /** Runs all of them, also after one failed, for at most 15 s; what remains is removed later (reconcile.ts). */
  async run(onError: (error: unknown) => void): Promise<void> {
    const timer = new AbortController()
    const late = sleep(UNDO_MS, undefined, { signal: timer.signal }).catch(() => undefined)
    const all = (async () => {
      for (const undo of this.#undos.splice(0).reverse()) {
        try {
          if (!(await this.isAllowed())) return
          await undo()
        } catch (error) {
          onError(error)
        }
      }
    })()
    await Promise.race([all, late])
    timer.abort()
  }
}
