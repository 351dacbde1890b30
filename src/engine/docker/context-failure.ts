import type { Readable } from 'node:stream'

/**
 * Aborts, with the reason, when a build context cannot become whole: also one that had failed before anybody read it, or
 * whose reader has gone, so that its error never is one that nobody listens for.
 */
export function failureOf(context: Readable): AbortSignal {
  const failed = new AbortController()
  if (context.errored) failed.abort(context.errored)
  context.on('error', (error) => failed.abort(error))
  context.once('close', () => {
    if (!context.readableEnded) failed.abort(new Error('the build context ended before it was whole'))
  })
  return failed.signal
}
