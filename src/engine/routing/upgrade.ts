import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { upgradeHead } from './headers.js'
import type { InFlight } from './in-flight.js'
import type { Target } from './table.js'
import type { Turns } from './turns.js'

const CONNECT_MS = 5_000

/** Connects a WebSocket, or another protocol that is upgraded to, with the target, byte for byte. */
export function upgrade(
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  {
    target,
    inFlight,
    turns,
  }: { readonly target: Target; readonly inFlight: InFlight; readonly turns: Turns },
): void {
  const leave = inFlight.enter(target.deploymentId)
  const upstream = connect({ host: turns.take(target, new Set()), port: target.port })
  upstream.setTimeout(CONNECT_MS, () => upstream.destroy())
  socket.once('close', () => {
    leave()
    upstream.destroy()
  })
  upstream.once('connect', () => {
    upstream.setTimeout(0)
    upstream.write(upgradeHead(incoming))
    upstream.write(head)
    socket.pipe(upstream).pipe(socket)
  })
  upstream.once('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n'))
  upstream.once('close', () => socket.destroy())
}
