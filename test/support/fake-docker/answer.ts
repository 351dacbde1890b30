import type { ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { Exchange, Reply } from './exchange.js'
import type { Fault } from './faults.js'

/** Writes the reply, spoilt as the fault says. */
export async function answer(
  response: ServerResponse,
  reply: Reply,
  exchange: Exchange,
  fault: Fault | null,
): Promise<void> {
  const kind = fault?.options.kind
  if (kind === 'done-then-error') return answerLost(response, reply, fault)
  const spoils = kind === 'reset' || kind === 'early-eof' || kind === 'half-frame' || kind === 'error-line'
  const cuts = kind === 'split-utf8'
  if (!reply.stream && !spoils && !cuts) return writeWhole(response, reply)
  writeHead(response, reply)
  response.flushHeaders()
  const left = await writePieces(response, reply, exchange, fault)
  if (exchange.signal.aborted) return void response.destroy()
  if (kind === 'reset') return breakOff(response)
  if (left && kind === 'half-frame') await write(response, left.subarray(0, Math.ceil(left.length / 2)))
  if (kind === 'error-line' && reply.failure) await write(response, reply.failure(fault?.options.code ?? 1))
  if (!spoils) {
    for (const piece of reply.finish?.() ?? [])
      for (const part of cuts ? cut(piece) : [piece]) await write(response, part)
  }
  response.end()
}

export function refuse(response: ServerResponse, status: number, message: string): void {
  writeWhole(response, { status, json: { message } })
}

/** Breaks the connection after what was written has left. */
export function breakOff(response: ServerResponse): void {
  response.write('', () => setImmediate(() => response.destroy()))
}

/** Gives the piece at which a fault strikes, if one does. */
async function writePieces(
  response: ServerResponse,
  reply: Reply,
  exchange: Exchange,
  fault: Fault | null,
): Promise<Buffer | null> {
  const kind = fault?.options.kind
  const endsEarly = kind === 'reset' || kind === 'early-eof'
  const whole = lettingThrough(reply, fault)
  // A stream without end is not to be waited for.
  if (endsEarly && whole === 0) return null
  let count = 0
  for await (const piece of reply.stream ?? single(reply)) {
    if (exchange.signal.aborted) return null
    if (count >= whole) return Buffer.from(piece)
    for (const part of kind === 'split-utf8' ? cut(piece) : [piece]) await write(response, part)
    count++
    if (endsEarly && count >= whole) return null
  }
  return reply.finish ? Buffer.from('{"aux":{"ID":"sha256:0123456789ab"}}\n') : null
}

function lettingThrough(reply: Reply, fault: Fault | null): number {
  const { kind, after } = fault?.options ?? {}
  if (kind !== 'reset' && kind !== 'early-eof' && kind !== 'half-frame') return Infinity
  return after ?? (!reply.finish ? 0 : kind === 'reset' ? 1 : Infinity)
}

/** The request was carried out and nobody hears of it. */
async function answerLost(response: ServerResponse, reply: Reply, fault: Fault | null): Promise<void> {
  if (reply.stream) for await (const _ of reply.stream);
  reply.finish?.()
  if (fault?.options.then === 'error500') refuse(response, 500, 'a fault of the test, after it was done')
  else response.destroy()
}

async function* single(reply: Reply): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bodyOf(reply))
}

function bodyOf({ json }: Reply): Buffer {
  return json === undefined ? Buffer.alloc(0) : Buffer.from(`${JSON.stringify(json)}\n`)
}

function writeWhole(response: ServerResponse, reply: Reply): void {
  const body = bodyOf(reply)
  if (reply.status !== 204 && reply.status !== 304) response.setHeader('content-length', body.length)
  writeHead(response, reply)
  response.end(body)
}

function writeHead(response: ServerResponse, reply: Reply): void {
  const type = reply.type ?? (reply.json === undefined ? '' : 'application/json')
  response.writeHead(reply.status, type === '' ? {} : { 'content-type': type })
}

async function write(response: ServerResponse, piece: string | Buffer): Promise<void> {
  if (piece.length === 0 || response.destroyed) return
  if (response.write(piece)) return
  const settled = new AbortController()
  const either = ['drain', 'close'].map((event) => once(response, event, { signal: settled.signal }))
  await Promise.race(either).finally(() => settled.abort())
}

/** In two after each first byte of a character that has several. */
function cut(piece: string | Buffer): Buffer[] {
  const bytes = Buffer.from(piece)
  const parts: Buffer[] = []
  let from = 0
  for (let at = 0; at < bytes.length; at++) {
    if ((bytes[at] ?? 0) < 0xc0) continue
    parts.push(bytes.subarray(from, at + 1))
    from = at + 1
  }
  return [...parts, bytes.subarray(from)]
}
