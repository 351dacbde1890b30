import { execFileSync } from 'node:child_process'
import { tokenize } from './rules.js'
import { type Dynamic, type Gateway, serve } from './traefik.js'

/** As long as Traefik may take to hear of a container. */
const FRESH_MS = 300

/** What Docker says of a container, as far as Traefik reads it. */
export interface Container {
  readonly Config: { readonly Labels: Readonly<Record<string, string>> }
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> }
}

/**
 * A stand-in for Traefik with its Docker provider: routes by the labels of the containers that run, as far as Longshore
 * writes them. Servers of services of one name are merged; a router that is not the same everywhere is dropped.
 *
 * @param find gives the containers that run
 */
export async function startLabelStandIn(find: () => Promise<Container[]>): Promise<Gateway> {
  let dynamic = dynamicOf(await find())
  let looking: Promise<void> | null = null
  const look = setInterval(() => {
    looking ??= find()
      .then((found) => void (dynamic = dynamicOf(found)))
      .catch(() => undefined) // one was removed between the two calls
      .finally(() => (looking = null))
  }, FRESH_MS)
  const gateway = await serve(() => dynamic)
  return {
    ...gateway,
    async [Symbol.asyncDispose]() {
      clearInterval(look)
      await looking
      await gateway[Symbol.asyncDispose]()
    },
  }
}

/** Containers of the Docker engine, by name. */
export function inspect(names: readonly string[]): Container[] {
  if (names.length === 0) return []
  return JSON.parse(execFileSync('docker', ['inspect', ...names], { encoding: 'utf8' })) as Container[]
}

function dynamicOf(containers: readonly Container[]): Dynamic {
  const routers: NonNullable<Dynamic['routers']> = {}
  const services: NonNullable<Dynamic['services']> = {}
  const dropped = new Set<string>()
  for (const { Config, NetworkSettings } of containers) {
    const labels = Config.Labels
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
function named(labels: Container['Config']['Labels'], kind: string, option: string): [string, string][] {
  return Object.entries(labels).flatMap(([label, value]): [string, string][] => {
    const [, name] = new RegExp(`^traefik\\.http\\.${kind}\\.([^.]+)\\.${option}$`).exec(label) ?? []
    return name === undefined ? [] : [[name, value]]
  })
}
