import { setTimeout as sleep } from 'node:timers/promises'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { monotonic } from './log-source.js'

/** A message, and the milliseconds from the first one to it. */
export interface Timed {
  readonly afterMs: number
  readonly message: string
}

/** When each message was given to the sockets. */
export interface Broadcast {
  readonly at: readonly number[]
}

/** The least that a process can do to show messages to many: to each as it comes, in bytes that are made once. */
async function broadcast(sockets: ReadonlySet<WebSocket>, messages: readonly Timed[]): Promise<number[]> {
  const at: number[] = []
  const startedAt = performance.now()
  for (const { afterMs, message } of messages) {
    const waitMs = startedAt + afterMs - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    const bytes = Buffer.from(message)
    at.push(monotonic())
    for (const socket of sockets) socket.send(bytes, { binary: false })
  }
  return at
}

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
server.on('listening', () => process.send?.({ port: (server.address() as AddressInfo).port }))
// So that a viewer knows that it is there.
server.on('connection', (socket) => socket.send('ready'))
process.on('message', (messages: Timed[]) => {
  void broadcast(server.clients, messages).then((at) => {
    for (const socket of server.clients) socket.close()
    const told: Broadcast = { at }
    process.send?.(told)
  })
})
