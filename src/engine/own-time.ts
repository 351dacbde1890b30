const LOOK_MS = 100

/**
 * Calls `then` after about `ms` of this process's own time: what it was kept from running, as on a machine at its limit,
 * does not count, because an answer may have been there and nobody looked.
 *
 * @returns ends it
 */
export function inOwnTime(ms: number, then: () => void): () => void {
  let left = Math.ceil(ms / LOOK_MS)
  // One that is due several times fires once: each of them lets the process read what has come.
  const timer = setInterval(() => {
    left--
    if (left > 0) return
    clearInterval(timer)
    then()
  }, LOOK_MS)
  return () => clearInterval(timer)
}
