import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { tryGraphql } from '../support/client.js'

const CONNECTIONS = 500
const HOLD_MS = 8_000
/** Other addresses than ours, which has the same bound. */
const ADDRESSES = ['127.0.0.2', '127.0.0.3', '127.0.0.4']
const ALIASES = 10_000

/** What somebody begins to say who never ends it. */
const BEGINNINGS = [
  '',
  'GET / HTTP/1.1\r\nHost: ',
  'GET /graphql HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
]

/** Opens connections to a port, says next to nothing and holds them; gives how many there were. */
export async function crowd(port: number): Promise<number> {
  const sockets: Socket[] = []
  for (let number = 0; number < CONNECTIONS; number++) {
    const localAddress = ADDRESSES[number % ADDRESSES.length]
    const socket = connect({ host: '127.0.0.1', port, localAddress }).on('error', () => undefined)
    socket.write(BEGINNINGS[number % BEGINNINGS.length] ?? '')
    sockets.push(socket)
  }
  await sleep(HOLD_MS)
  for (const socket of sockets) socket.destroy()
  return sockets.length
}

const NODES = (inner: string) => `deployments(first: 200) { nodes { id app { ${inner} } } }`

/** Queries that ask for too much; each has to be refused. */
export const GREEDY = {
  'fans out': `{ apps(first: 200) { nodes { ${NODES(NODES(NODES('id')))} } } }`,
  aliases: `{ ${Array.from({ length: ALIASES }, (_, index) => `a${index}: __typename`).join(' ')} }`,
} as const

/** Gives the code with which it was refused; null: it was answered. */
export async function askGreedily(port: number, query: string): Promise<string | null> {
  return (await tryGraphql(port, query)).errors?.[0]?.extensions.code ?? null
}
