import { parentPort, workerData } from 'node:worker_threads'
import { openDelivery, type SealedDelivery } from './open-delivery.js'

// What LargeDeliveries starts. A buffer arrives as the array that it is made of.
const { body, ...sealed } = workerData as Omit<SealedDelivery, 'body'> & { readonly body: Uint8Array }
parentPort?.postMessage(
  openDelivery({ ...sealed, body: Buffer.from(body.buffer, body.byteOffset, body.byteLength) }),
)
