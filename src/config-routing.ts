import type { SettingReader } from './setting-reader.js'

export type RouterChoice = 'builtin' | 'traefik' | 'traefik-labels' | 'off'

/** How Traefik is told where requests go, and asked whether they do. */
export interface TraefikConfig {
  /** The folder that its file provider watches; set wherever ROUTER=traefik routes. */
  readonly dir: string | null
  /** Its entry point for HTTP; null: nobody asks whether a deployment is reached. */
  readonly url: string | null
  /** Its API; null: nobody asks whether it has applied its configuration. */
  readonly api: string | null
  readonly entryPoint: string
  readonly tlsEntryPoint: string
  /** Who gets certificates; null: no TLS. */
  readonly certResolver: string | null
}

/** What carries requests to containers, and on which ports. */
export function readRouting(read: SettingReader) {
  const router = read.oneOf('ROUTER', ['builtin', 'traefik', 'traefik-labels', 'off'], 'builtin')
  const routerPort = read.integer('ROUTER_PORT', 8000, { min: 1, max: 65_535 })
  const traefik = readTraefik(read, router)
  const behindTls = router === 'traefik' && traefik.certResolver !== null
  return {
    router,
    routerHost: read.text('ROUTER_HOST', '0.0.0.0'),
    routerPort,
    tlsDir: read.folder('TLS_DIR'),
    routerTlsPort: read.integer('ROUTER_TLS_PORT', 8443, { min: 1, max: 65_535 }),
    routerConnections: read.connections('ROUTER_MAX_CONNECTIONS', 8192, 2048),
    traefik,
    publicPort: router === 'builtin' ? routerPort : behindTls ? 443 : 80,
  }
}

function readTraefik(read: SettingReader, router: RouterChoice): TraefikConfig {
  return {
    dir: read.folder('TRAEFIK_DIR'),
    url: read.address('TRAEFIK_URL') ?? (router === 'traefik' ? 'http://127.0.0.1:80' : null),
    api: read.address('TRAEFIK_API'),
    entryPoint: read.traefikName('TRAEFIK_ENTRYPOINT') ?? 'web',
    tlsEntryPoint: read.traefikName('TRAEFIK_TLS_ENTRYPOINT') ?? 'websecure',
    certResolver: read.traefikName('TRAEFIK_CERT_RESOLVER'),
  }
}
