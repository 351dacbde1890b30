import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

/** Addresses and networks of the proxies whose word about clients counts, such as `10.0.0.0/8` and `2001:db8::1`. */
export class TrustedProxies {
  readonly #list = new BlockList()

  /** @param networks each passes {@link isNetwork} */
  constructor(readonly networks: readonly string[]) {
    for (const network of networks) {
      const [address = '', prefix] = network.split('/')
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
      this.#list.addSubnet(address, Number(prefix ?? (family === 'ipv6' ? 128 : 32)), family)
    }
  }

  has(address: string | undefined): boolean {
    if (this.networks.length === 0 || address === undefined) return false
    const plain = plainAddress(address)
    const version = isIP(plain)
    return version !== 0 && this.#list.check(plain, version === 6 ? 'ipv6' : 'ipv4')
  }

  /** Whether one of them sent a request. */
  sent({ socket }: IncomingMessage): boolean {
    return this.has(socket.remoteAddress)
  }

  /**
   * Who asked. Each proxy adds the address that it was asked from at the right of X-Forwarded-For: the first one from
   * there that is no proxy's is the client's, and what stands left of it is what the client claims.
   */
  clientOf({ socket, headers }: IncomingMessage): string {
    let client = socket.remoteAddress ?? ''
    if (!this.has(client)) return client
    const chain = String(headers['x-forwarded-for'] ?? '').split(',')
    while (chain.length > 0 && this.has(client)) {
      const before = addressIn(chain.pop() ?? '')
      if (before === null) break
      client = before
    }
    return client
  }
}

export const NO_PROXIES = new TrustedProxies([])

/** An address of IPv4 or IPv6, or such a network with its prefix, as `10.0.0.0/8`. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || address.includes('%') || rest.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 6 ? 128 : 32))
}

/** Some proxies add a port. */
function addressIn(text: string): string | null {
  const trimmed = text.trim()
  const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(trimmed)?.[1] ?? trimmed.replace(/^([\d.]+):\d+$/, '$1')
  return isIP(bare) === 0 ? null : plainAddress(bare)
}

/** A server that listens for both sees an IPv4 address inside of an IPv6 address. */
function plainAddress(address: string): string {
  const bare = address.replace(/%.*$/, '')
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1] ?? bare
}
