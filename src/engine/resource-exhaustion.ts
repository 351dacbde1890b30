import { setTimeout as sleep } from 'node:timers/promises'
import { InfrastructureError } from './errors.js'

/** Of system calls: this process, or its machine, has no more descriptors, memory, ports, processes or room. */
const CODES = new Set([
  ...['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EAGAIN', 'EADDRNOTAVAIL', 'ENOSPC', 'EDQUOT'],
  'OUT_OF_RESOURCES',
])
/** The same in the words of programs that are started here, and of the engine. */
const MESSAGES = new RegExp(
  [
    'Too many open files|Cannot allocate memory|Out of memory|Resource temporarily unavailable',
    'Cannot assign requested address|No buffer space available|No space left on device|Disk quota exceeded',
  ].join('|'),
  'i',
)
const RETRY_MS = 100
const WAIT_MS = 10_000

/**
 * Whether an error says that this process, or its machine, lacks something. It says nothing of an app, a repository or
 * whoever else was to be asked: none of them may be blamed for it.
 */
export function isResourceExhaustion(error: unknown): boolean {
  return CODES.has((error as { code?: string } | null)?.code ?? '')
}

/** The same for what a program has written to stderr. */
export function mentionsResourceExhaustion(text: string): boolean {
  return MESSAGES.test(text)
}

/**
 * Does `work` again, for 10 s, while it fails for what this process lacks.
 *
 * @throws InfrastructureError OUT_OF_RESOURCES when it has failed for that alone; any other error of `work` at once
 */
export async function retryWhileExhausted<T>(work: () => Promise<T>, waitMs = WAIT_MS): Promise<T> {
  const until = performance.now() + waitMs
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isResourceExhaustion(error)) throw error
      if (performance.now() <= until) await sleep(RETRY_MS)
      else if (error instanceof InfrastructureError) throw error
      else throw outOfResources((error as Error).message, error)
    }
  }
}

/** @param lacking what could not be done, and the system's words for why */
export function outOfResources(lacking: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError('OUT_OF_RESOURCES', `this server is short of resources: ${lacking}`, cause)
}
