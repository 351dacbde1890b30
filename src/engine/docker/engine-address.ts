/** Where an engine listens, as node:http and dockerode take it. */
export type EngineAddress =
  | { readonly socketPath: string }
  | { readonly protocol: 'http' | 'https'; readonly host: string; readonly port: number }

const PLAIN_PORT = 2375

/** Takes a DOCKER_HOST apart; null: it is none that can be used, and {@link whyUnusable} says why. */
export function engineAddress(dockerHost: string): EngineAddress | null {
  const socketPath = /^unix:\/\/(\/.+)$/.exec(dockerHost)?.[1]
  if (socketPath !== undefined) return { socketPath }
  const parts = /^(tcp|https?):\/\/([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?\/?$/.exec(
    dockerHost,
  )
  if (!parts) return null
  const [, scheme, host = '', digits] = parts
  const port = digits === undefined ? PLAIN_PORT : Number(digits)
  if (port < 1 || port > 65_535) return null
  return { protocol: scheme === 'https' ? 'https' : 'http', host: host.replace(/^\[|\]$/g, ''), port }
}

/** What is wrong with a DOCKER_HOST and what to do, without its name; null: nothing. */
export function whyUnusable(dockerHost: string): string | null {
  if (engineAddress(dockerHost)) return null
  if (dockerHost.startsWith('ssh://')) {
    return `"${dockerHost}" is not supported: Longshore does not connect to an engine over SSH. Forward its socket (ssh -N -L /tmp/engine.sock:/var/run/docker.sock host) and set DOCKER_HOST=unix:///tmp/engine.sock`
  }
  const meant = dockerHost.startsWith('/') ? `; did you mean unix://${dockerHost}?` : ''
  return `"${dockerHost}" is not unix:///path or tcp://host:port${meant}`
}
