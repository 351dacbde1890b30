const TICK_MS = 100

/**
 * A timeout that tolerates stalls: calls `then` after about `ms` in which this process could run. What it was kept from
 * running, as on a machine at its limit, does not count, because an answer may have been there and nobody looked.
 *
 * @returns ends it
 */
export function stallTolerantTimeout(ms: number, then: () => void): () => void {
  let left = Math.ceil(ms / TICK_MS)
  // One that is due several times fires once: each of them lets the process read what has come.
  const timer = setInterval(() => {
    left--
    if (left > 0) return
    clearInterval(timer)
    then()
  }, TICK_MS)
  return () => clearInterval(timer)
}
