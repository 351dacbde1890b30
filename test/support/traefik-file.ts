import type { StageRoutes } from '../../src/engine/routing/table.js'

/** HTTP only. */
export const PLAIN = { entryPoint: 'web', tlsEntryPoint: 'websecure', certResolver: null }
/** A stage with a domain, a version that serves and one that is being retired. */
export const STAGE: StageRoutes = {
  stageId: 'stage1',
  appName: 'shop',
  stageName: 'production',
  routeEpoch: 7,
  hosts: ['shop.test.example', 'shop.example'],
  redirects: new Map([['www.shop.example', 'shop.example']]),
  current: { deploymentId: 'new1', addresses: ['10.0.0.2', '10.0.0.3'], port: 3000 },
  starting: [],
  failed: [],
  deployments: [
    { host: 'shop-old1.test.example', target: { deploymentId: 'old1', addresses: ['10.0.0.1'], port: 80 } },
  ],
}

interface File {
  http: {
    routers: Record<
      string,
      { rule: string; service: string; entryPoints: string[]; middlewares?: string[]; tls?: object }
    >
    services: Record<string, { loadBalancer: object }>
    middlewares?: Record<string, object>
  }
}

/** What is under `http`. */
export function parse(text: string | null): File['http'] {
  return (JSON.parse((text ?? '').replace(/^#.*\n/, '')) as File).http
}
