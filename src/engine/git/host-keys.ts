import { createHash } from 'node:crypto'
import type { RepositoryAddress } from '../repository-url.js'

/** The keys of SSH hosts that were trusted when they were first seen, for all workers. */
export interface KnownHosts {
  /** Type and key, as in known_hosts; null: the host has not been seen. */
  find(host: string): Promise<string | null>
  /** Keeps the key of a host that was not known. Gives the one that is kept: another worker may have been faster. */
  record(host: string, publicKey: string): Promise<string>
}

/** As these forges publish them: they are never trusted on first use. */
export const FORGES: Readonly<Record<string, string>> = {
  'github.com': 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl',
  'gitlab.com': 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf',
  'bitbucket.org': 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO',
  'codeberg.org': 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVIC02vnjFyL+I4RHfvIGNtOgJMe769VTF1VR4EB3ZB',
}

/** What to do about a host key that is not the one that is known. */
export const CHANGED_KEY =
  'If the server was given a new key, compare it with what its operator publishes and run npm run forget-host -- HOST, or ' +
  "replace it in the known hosts of the worker's account (ssh-keygen -R, ssh-keyscan); otherwise somebody may be between " +
  'this server and it'

/** The name of a host in known_hosts. */
export function knownHostName({ host, port }: Pick<RepositoryAddress, 'host' | 'port'>): string {
  return port === 22 ? host : `[${host}]:${port}`
}

/** As ssh and forges show it: `SHA256:…`. */
export function fingerprintOf(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(' ')[1] ?? '', 'base64')
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

/** For as long as this process lives. */
export function createForgetfulHosts(): KnownHosts {
  const known = new Map<string, string>()
  return {
    find: (host) => Promise.resolve(known.get(host) ?? null),
    record: (host, publicKey) => {
      if (!known.has(host)) known.set(host, publicKey)
      return Promise.resolve(known.get(host) ?? publicKey)
    },
  }
}
