import { request } from 'node:http'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { MAX_RESPONSE_HEAD_BYTES } from '../http1/response-heads.js'
import { isResourceExhaustion, retryWhileExhausted } from '../resource-exhaustion.js'
import { stallTolerantTimeout } from '../stall-tolerant-timeout.js'

/** A request that a router would send to a container. */
export interface ContainerQuestion {
  readonly address: string
  readonly port: number
  readonly host: string
  readonly path: string
  readonly timeoutMs: number
}

/** What a container did with it. */
export type ContainerAnswer =
  | { readonly kind: 'answered'; readonly status: number }
  /** It took the connection, and did not answer within the time. */
  | { readonly kind: 'late' }
  /** No connection came about: the system's code for it. */
  | { readonly kind: 'unconnected'; readonly code: string }
  /** The connection ended, or was reset, after so many bytes that are no whole answer. */
  | { readonly kind: 'closed' | 'reset'; readonly bytes: number }
  | { readonly kind: 'tls' | 'http2' | 'large-head' }
  /** `isHttp`: it begins as an answer does, and breaks a rule (`reason`) that lets nobody pass it on. */
  | { readonly kind: 'unusable'; readonly isHttp: boolean; readonly reason: string; readonly bytes: Buffer }

const TLS_MS = 1_000
/** Of bytes that are no answer so many are kept. */
const KEPT_BYTES = 4_096
/** Of TLS: the first byte of an alert and of a handshake, and the second one of every version. */
const TLS_RECORDS = [0x15, 0x16]
const TLS_MAJOR = 3
/** Of HTTP/2: the fourth byte of the frame that begins each connection; the first is 0, its length is short. */
const HTTP2_SETTINGS = 4

/**
 * Asks a container past the router, by the rules of the built-in one.
 *
 * @throws InfrastructureError OUT_OF_RESOURCES when this process could not ask
 */
export async function askContainer(question: ContainerQuestion): Promise<ContainerAnswer> {
  const answer = await retryWhileExhausted(() => askByHttp(question))
  const isMute = (answer.kind === 'closed' || answer.kind === 'reset') && answer.bytes === 0
  return isMute && (await speaksTls(question)) ? { kind: 'tls' } : answer
}

function askByHttp({ address, port, host, path, timeoutMs }: ContainerQuestion): Promise<ContainerAnswer> {
  return new Promise((resolve, reject) => {
    const headers = { host, connection: 'close' }
    const options = { maxHeaderSize: MAX_RESPONSE_HEAD_BYTES, agent: false }
    const asked = request({ host: address, port, path, headers, ...options })
    let socket: Socket | null = null
    const finish = (answer: ContainerAnswer | Error) => {
      stopWaiting()
      asked.destroy()
      if (answer instanceof Error) reject(answer)
      else resolve(answer)
    }
    const stopWaiting = stallTolerantTimeout(timeoutMs, () =>
      finish(
        asked.socket?.connecting === false ? { kind: 'late' } : { kind: 'unconnected', code: 'ETIMEDOUT' },
      ),
    )
    asked.once('socket', (given) => (socket = given))
    asked.once('response', ({ statusCode = 0 }) => finish({ kind: 'answered', status: statusCode }))
    // Nobody asked for another protocol: the router answers 502.
    asked.once('upgrade', () =>
      finish({
        kind: 'unusable',
        isHttp: true,
        reason: 'status 101 without a request for it',
        bytes: Buffer.alloc(0),
      }),
    )
    asked.on('error', (error) => finish(isResourceExhaustion(error) ? error : answerOf(error, socket)))
    asked.end()
  })
}

/** Of an error of Node.js' HTTP client. */
function answerOf(error: NodeJS.ErrnoException, socket: Socket | null): ContainerAnswer {
  const {
    code = '',
    syscall,
    rawPacket,
    reason,
  } = error as NodeJS.ErrnoException & {
    readonly rawPacket?: Buffer
    readonly reason?: string
  }
  if (code === 'HPE_HEADER_OVERFLOW') return { kind: 'large-head' }
  if (code.startsWith('HPE_')) return unusable(rawPacket ?? Buffer.alloc(0), reason ?? error.message)
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    return { kind: syscall === undefined ? 'closed' : 'reset', bytes: socket?.bytesRead ?? 0 }
  }
  return { kind: 'unconnected', code }
}

function unusable(packet: Buffer, reason: string): ContainerAnswer {
  const bytes = packet.subarray(0, KEPT_BYTES)
  if (TLS_RECORDS.includes(bytes[0] ?? 0) && bytes[1] === TLS_MAJOR) return { kind: 'tls' }
  if (bytes[0] === 0 && bytes[3] === HTTP2_SETTINGS) return { kind: 'http2' }
  return { kind: 'unusable', isHttp: bytes.toString('latin1').startsWith('HTTP/1.'), reason, bytes }
}

/** One that closes the connection at a request in clear text may wait for a handshake. */
function speaksTls({ address, port }: ContainerQuestion): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: address, port, rejectUnauthorized: false })
    const finish = (answer: boolean) => {
      stopWaiting()
      socket.destroy()
      resolve(answer)
    }
    const stopWaiting = stallTolerantTimeout(TLS_MS, () => finish(false))
    socket.once('secureConnect', () => finish(true))
    // A server that refuses the handshake by an alert speaks TLS too.
    socket.on('error', (error: NodeJS.ErrnoException) => finish(/_ALERT_/.test(error.code ?? '')))
    socket.once('close', () => finish(false))
  })
}
