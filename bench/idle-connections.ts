import { Agent, request } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Disposal } from '../src/disposal.js'
import { Longshore } from './longshore.js'
import { printTable, rounds } from './report.js'
import { route } from './router.js'

const REQUESTS = 100_000
const AT_ONCE = 64
/** The app answers, and does it so much later. */
const ACT_MS = 2
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes'
const BODY = 'four'

/** What an app does with a connection on which it has answered, without having said so. */
const WAYS: Readonly<Record<string, (socket: Socket) => void>> = {
  closes: (socket) => socket.destroySoon(),
  resets: (socket) => void socket.resetAndDestroy(),
  'half-closes': (socket) => socket.end(),
  'answers 408': (socket) =>
    socket.end('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'),
  'sends bytes': (socket) => void socket.write('left over'),
}

/** 100,000 requests at 64 in parallel to each app that leaves its connections, by GET and by POST. */
export async function run(count: number): Promise<void> {
  await using opened = new Disposal()
  const longshore = opened.use(await Longshore.create())
  let act: (socket: Socket) => void = () => undefined
  const port = await listen((socket) => act(socket), opened)
  const host = await route(longshore, port)
  const rows: string[][] = []
  for (const _round of rounds(count)) {
    for (const [way, then] of Object.entries(WAYS)) {
      for (const method of ['GET', 'POST'] as const) {
        act = then
        rows.push([way, method, ...(await send(longshore.installation.routerPort, host, method))])
      }
    }
  }
  const title = `${REQUESTS} requests, ${AT_ONCE} at once, to an app that leaves its connections ${ACT_MS} ms after an answer`
  printTable(title, ['the app', 'method', 'failed', 'requests/s'], rows)
}

/** An app that answers the first request of each connection, and sees no other. */
async function listen(act: (socket: Socket) => void, opened: Disposal): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    let received = ''
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    socket.on('end', () => socket.end())
    socket.on('data', (bytes: Buffer) => {
      if (socket.bytesWritten > 0) return
      received += bytes.toString('latin1')
      if (!received.includes('\r\n\r\n') || (received.startsWith('POST') && !received.endsWith(BODY))) return
      socket.write(ANSWER)
      setTimeout(() => act(socket), ACT_MS)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 1024, resolve))
  opened.defer(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

/** How many failed, and how many were answered in a second. */
async function send(port: number, host: string, method: 'GET' | 'POST'): Promise<[string, string]> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE })
  const failures = new Map<string, number>()
  let left = REQUESTS
  const one = () =>
    new Promise<void>((resolve) => {
      const fails = (why: string) => {
        failures.set(why, (failures.get(why) ?? 0) + 1)
        resolve()
      }
      const asked = request({ host: '127.0.0.1', port, agent, method, headers: { host } }, (answer) => {
        if (answer.statusCode !== 200) fails(String(answer.statusCode))
        answer
          .resume()
          .once('end', resolve)
          .once('error', (error) => fails(error.message))
      })
      asked.once('error', (error) => fails(error.message))
      asked.end(method === 'POST' ? BODY : undefined)
    })
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await one()
    }),
  )
  const seconds = (performance.now() - startedAt) / 1000
  agent.destroy()
  await sleep(100)
  const failed = [...failures].map(([why, times]) => `${times} × ${why}`).join(', ')
  return [failed || '0', (REQUESTS / seconds).toFixed(0)]
}
