import { tokenize } from './rules.js'
import { type Dynamic, type Gateway, serve } from './traefik.js'

/** As long as Traefik may take to hear of a container. */
const FRESH_MS = 300
/** That one is gone it hears soon: its address may be another app's next. */
const LOOK_MS = 50

/** What Docker's list of containers that run says of one, as far as Traefik reads it. */
export interface Container {
  readonly Id: string
  readonly Labels: Readonly<Record<string, string>>
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> }
}

/**
 * A stand-in for Traefik with its Docker provider: routes by the labels of the containers that run, as far as Longshore
 * writes them. Servers of services of one name are merged; a router that is not the same everywhere is dropped.
 *
 * @param find gives the containers that run
 */
export async function startLabelStandIn(find: () => Promise<Container[]>): Promise<Gateway> {
  let since = new Map<string, number>()
  let dynamic: Dynamic = {}
  const look = async () => {
    const found = await find()
    const now = performance.now()
    since = new Map(found.map(({ Id }) => [Id, since.get(Id) ?? now]))
    dynamic = dynamicOf(found.filter(({ Id }) => now - (since.get(Id) ?? now) >= FRESH_MS))
  }
  await look()
  let looking: Promise<void> | null = null
  const timer = setInterval(() => void (looking ??= look().finally(() => (looking = null))), LOOK_MS)
  const gateway = await serve(() => dynamic)
  return {
    ...gateway,
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await looking
      await gateway[Symbol.asyncDispose]()
    },
  }
}

function dynamicOf(containers: readonly Container[]): Dynamic {
  const routers: NonNullable<Dynamic['routers']> = {}
  const services: NonNullable<Dynamic['services']> = {}
  const dropped = new Set<string>()
  for (const { Labels: labels, NetworkSettings } of containers) {
    const address = NetworkSettings.Networks.longshore?.IPAddress
    if (labels['traefik.enable'] !== 'true' || !address) continue
    for (const [name, port] of named(labels, 'services', 'loadbalancer.server.port')) {
      const servers = services[name]?.loadBalancer.servers ?? []
      services[name] = { loadBalancer: { servers: [...servers, { url: `http://${address}:${port}` }] } }
    }
    const only = named(labels, 'services', 'loadbalancer.server.port').length === 1
    for (const [name, rule] of named(labels, 'routers', 'rule')) {
      tokenize(rule)
      const service = labels[`traefik.http.routers.${name}.service`] ?? (only ? name : '')
      const router = { rule, service, entryPoints: ['web'] }
      if (routers[name] && JSON.stringify(routers[name]) !== JSON.stringify(router)) dropped.add(name)
      routers[name] = router
    }
  }
  const kept = Object.entries(routers).filter(([name]) => !dropped.has(name))
  return { routers: Object.fromEntries(kept), services }
}

/** Values of `traefik.http.{kind}.{name}.{option}`, with their names. */
function named(labels: Container['Labels'], kind: string, option: string): [string, string][] {
  return Object.entries(labels).flatMap(([label, value]): [string, string][] => {
    const [, name] = new RegExp(`^traefik\\.http\\.${kind}\\.([^.]+)\\.${option}$`).exec(label) ?? []
    return name === undefined ? [] : [[name, value]]
  })
}
