import { tokenize } from './rules.js'
import { type Dynamic, type Gateway, serve } from './traefik.js'

/** As long as Traefik may take to hear of a container. */
const FRESH_MS = 300
/** That one is gone it hears soon: its address may be another app's next. */
const LOOK_MS = 50

/** What Docker's list of containers that run says of one, as far as Traefik reads it. */
export interface Container {
  readonly Id: string
  /** As `Up 3 seconds (unhealthy)`. */
  readonly Status: string
  readonly Labels: Readonly<Record<string, string>>
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> }
}

/**
 * A stand-in for Traefik with its Docker provider: routes by the labels of the containers that run, as far as Longshore
 * writes them. Servers of services of one name are merged; a router or a middleware that is not the same everywhere is
 * dropped, and a router with its middleware.
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

/** What is of one name has to be the same everywhere. */
class Merged<T> {
  readonly #all = new Map<string, T>()
  readonly #dropped = new Set<string>()

  add(name: string, value: T): void {
    const before = this.#all.get(name)
    if (before && JSON.stringify(before) !== JSON.stringify(value)) this.#dropped.add(name)
    this.#all.set(name, value)
  }

  kept(): Record<string, T> {
    return Object.fromEntries([...this.#all].filter(([name]) => !this.#dropped.has(name)))
  }
}

/** All labels that Longshore writes. With one that it does not know Traefik leaves the container out. */
const KNOWN = [
  /^traefik\.enable$/,
  /^traefik\.http\.routers\.[^.]+\.(rule|service|middlewares)$/,
  /^traefik\.http\.services\.[^.]+\.loadbalancer\.server\.port$/,
  /^traefik\.http\.middlewares\.[^.]+\.retry\.(attempts|initialinterval)$/,
]

function isKnown(label: string): boolean {
  return !label.startsWith('traefik.') || KNOWN.some((known) => known.test(label))
}

function dynamicOf(containers: readonly Container[]): Dynamic {
  const routers = new Merged<NonNullable<Dynamic['routers']>[string]>()
  const middlewares = new Merged<NonNullable<Dynamic['middlewares']>[string]>()
  const services: NonNullable<Dynamic['services']> = {}
  for (const { Labels: labels, Status: status, NetworkSettings } of containers) {
    const address = NetworkSettings.Networks.longshore?.IPAddress
    if (labels['traefik.enable'] !== 'true' || !address || !Object.keys(labels).every(isKnown)) continue
    if (/\((unhealthy|health: starting)\)$/.test(status)) continue
    const ports = named(labels, 'services', 'loadbalancer.server.port')
    for (const [name, port] of ports) {
      const servers = services[name]?.loadBalancer.servers ?? []
      services[name] = { loadBalancer: { servers: [...servers, { url: `http://${address}:${port}` }] } }
    }
    for (const [name, attempts] of named(labels, 'middlewares', 'retry.attempts')) {
      const interval = labels[`traefik.http.middlewares.${name}.retry.initialinterval`] ?? '0ms'
      const [, milliseconds] = /^(\d+)ms$/.exec(interval) ?? []
      const retry = { attempts: Number(attempts), initialIntervalMs: Number(milliseconds) }
      middlewares.add(name, { retry })
    }
    for (const [name, rule] of named(labels, 'routers', 'rule')) {
      tokenize(rule)
      const service =
        labels[`traefik.http.routers.${name}.service`] ?? (ports.length === 1 ? ports[0]?.[0] : '')
      const through = labels[`traefik.http.routers.${name}.middlewares`]?.split(',') ?? []
      routers.add(name, { rule, service: service ?? '', entryPoints: ['web'], middlewares: through })
    }
  }
  const whole = middlewares.kept()
  const kept = Object.entries(routers.kept()).filter(([, router]) =>
    (router.middlewares ?? []).every((name) => whole[name]),
  )
  return { routers: Object.fromEntries(kept), services, middlewares: whole }
}

/** Values of `traefik.http.{kind}.{name}.{option}`, with their names. */
function named(labels: Container['Labels'], kind: string, option: string): [string, string][] {
  return Object.entries(labels).flatMap(([label, value]): [string, string][] => {
    const [, name] = new RegExp(`^traefik\\.http\\.${kind}\\.([^.]+)\\.${option}$`).exec(label) ?? []
    return name === undefined ? [] : [[name, value]]
  })
}
