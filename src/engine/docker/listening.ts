import { readFile, readlink } from 'node:fs/promises'

/** A TCP socket that waits for connections. */
export interface Listening {
  readonly host: string
  readonly port: number
  /** Reached only from inside the container. */
  readonly isLoopback: boolean
}

const STATE_LISTEN = '0A'

/**
 * What the process of a container listens on, read from the host's /proc. Null: this process may not read that, or the
 * engine is on another machine.
 */
export async function listeningOf(pid: number): Promise<Listening[] | null> {
  try {
    // The same network as ours would tell what this machine listens on.
    const [theirs, ours] = await Promise.all([readlink(`/proc/${pid}/ns/net`), readlink('/proc/self/ns/net')])
    if (theirs === ours) return null
    const tables = ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => ''))
    return parseSockets((await Promise.all(tables)).join('\n'))
  } catch {
    return null
  }
}

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6']
/** Whoever has none of these is an image with its program alone. */
const READERS = [['cat'], ['busybox', 'cat'], ['/bin/busybox', 'cat']]
const READ_MS = 5_000

/**
 * What a container listens on, read by a program of its image: also where this process is an ordinary user's, is in a
 * container itself, or the engine is on another machine. Null: the image has no program that reads a file.
 */
export async function listeningInside(
  run: (command: {
    command: readonly string[]
    timeoutMs: number
  }) => Promise<{ readonly exitCode: number | null; readonly output: string } | null>,
): Promise<Listening[] | null> {
  for (const reader of READERS) {
    const result = await run({ command: [...reader, ...TABLES], timeoutMs: READ_MS })
    // Without IPv6 there is no second table, and a program that has read the first one fails.
    if (result?.output.includes('local_address')) return parseSockets(result.output)
  }
  return null
}

/** Lines as in /proc/net/tcp: number, local address, remote address, state, … */
export function parseSockets(text: string): Listening[] {
  const found = new Map<string, Listening>()
  for (const line of text.split('\n')) {
    const [, local = '', , state] = line.trim().split(/\s+/)
    if (state !== STATE_LISTEN) continue
    const [address = '', port = ''] = local.split(':')
    const host = address.length === 8 ? ipv4(address) : ipv6(address)
    const one = {
      host,
      port: Number.parseInt(port, 16),
      isLoopback: host.startsWith('127.') || host === '::1',
    }
    // Docker's own name server listens inside every container, on a high port of this address.
    if (host !== '127.0.0.11') found.set(`${host}:${one.port}`, one)
  }
  return [...found.values()]
}

/** Four bytes, the least first. */
function ipv4(hex: string): string {
  return [3, 2, 1, 0].map((at) => Number.parseInt(hex.slice(at * 2, at * 2 + 2), 16)).join('.')
}

/** Only what occurs is told apart: all addresses, the loopback, and an IPv4 one in IPv6's clothes. */
function ipv6(hex: string): string {
  if (/^0+$/.test(hex)) return '::'
  if (/^0{24}01000000$/.test(hex)) return '::1'
  if (/^0{16}FFFF0000/i.test(hex)) return ipv4(hex.slice(24))
  return `[${hex.toLowerCase()}]`
}
