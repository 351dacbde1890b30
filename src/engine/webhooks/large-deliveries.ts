import { Worker } from 'node:worker_threads'
import type { OpenedDelivery, SealedDelivery } from './open-delivery.js'

/** Up to so many bytes a delivery is read at once: in some milliseconds, and its body is kept. */
export const SMALL_DELIVERY_BYTES = 1024 * 1024
/** 25 MiB of empty arrays become some 300. */
const MAX_HEAP_MB = 512
const TIMEOUT_MS = 30_000
/** Below `dist/src`, also where all modules are in one file, which takes itself for one of them. */
const ROOT = import.meta.url.slice(0, import.meta.url.lastIndexOf('/src/') + '/src/'.length)
const THREAD = new URL('engine/webhooks/open-delivery-thread.js', ROOT)

/** Opens deliveries whose bodies take long to check and to parse in a thread of their own, one after another. */
export class LargeDeliveries {
  #last: Promise<unknown> = Promise.resolve()

  /** The body belongs to the thread afterwards. Rejects where it takes too much time or memory. */
  open(sealed: SealedDelivery): Promise<OpenedDelivery> {
    const opened = this.#last.then(() => openInThread(sealed))
    this.#last = opened.catch(() => undefined)
    return opened
  }
}

function openInThread(sealed: SealedDelivery): Promise<OpenedDelivery> {
  const { buffer } = sealed.body
  const isOwn = buffer instanceof ArrayBuffer && buffer.byteLength === sealed.body.byteLength
  const thread = new Worker(THREAD, {
    workerData: sealed,
    transferList: isOwn ? [buffer] : [],
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  })
  return new Promise((resolve, reject) => {
    const timeout = setTimeout(() => void thread.terminate(), TIMEOUT_MS)
    thread.once('message', resolve)
    thread.once('error', reject)
    thread.once('exit', () => {
      clearTimeout(timeout)
      reject(new Error(`it was not read within ${TIMEOUT_MS / 1000} s`))
    })
  })
}
