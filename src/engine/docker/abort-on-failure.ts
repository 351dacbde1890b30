import type { Readable } from 'node:stream'

/**
 * Aborts `broken`, with the reason, when a tar cannot become whole: also one that had failed before anybody read it, or whose
 * reader has gone, so that its error never is one that nobody listens for.
 */
export function abortOnFailure(tar: Readable, broken: AbortController): void {
  if (tar.errored) broken.abort(tar.errored)
  tar.on('error', (error) => broken.abort(error))
  tar.once('close', () => {
    if (!tar.readableEnded) broken.abort(new Error('the build context ended early'))
  })
}
