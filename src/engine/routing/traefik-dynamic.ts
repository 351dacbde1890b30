import { isIPv4, isIPv6 } from 'node:net'
import { hostRule } from './labels.js'
import type { StageRoutes, Target } from './table.js'

/** How Traefik is reached from outside; the names are of its own configuration. */
export interface TraefikEntries {
  readonly entryPoint: string
  readonly tlsEntryPoint: string
  /** Null: no TLS. */
  readonly certResolver: string | null
}

/** What Traefik's API has to show when a stage's traffic goes where it should. */
export interface Expected {
  readonly router: string
  readonly service: string
  readonly servers: readonly string[]
}

interface HttpRouter {
  rule: string
  service: string
  entryPoints: string[]
  middlewares?: string[]
  tls?: { certResolver?: string }
}

/** What is under `http` in a file. Traefik refuses a whole folder for one empty map, so there is none here. */
interface Http {
  routers: Record<string, HttpRouter>
  services: Record<string, object>
  middlewares: Record<string, object>
}

/** A stage's file in the making. */
interface Draft {
  readonly http: Http
  readonly stage: StageRoutes
  readonly entries: TraefikEntries
}

/**
 * On every answer of a deployment's own host: tells an app's "404 page not found" from Traefik's, which look alike when
 * the app is written in Go.
 */
export const MARK = 'x-longshore-deployment'

const EPOCH = /^# longshore route_epoch=(\d+)$/
/** A router that only redirects has to name a service, and never comes to it. */
const NO_SERVICE = 'noop@internal'

/**
 * The file that tells Traefik all about one stage: JSON, which is YAML, below a line with the epoch. A pure function
 * of the table. Null: nothing of the stage is routed.
 *
 * @throws Error when a name or an address is not what the grammars allow
 */
export function dynamicFile(stage: StageRoutes, entries: TraefikEntries): string | null {
  const http: Http = { routers: {}, services: {}, middlewares: {} }
  const draft = { http, stage, entries }
  for (const { host, target } of stage.deployments) addDeployment(draft, host, target)
  if (stage.current) {
    http.services[serviceName(stage.current)] = serviceOf(stage.current)
    for (const host of stage.hosts) addHost(draft, host, serviceName(stage.current))
    addEpoch(draft)
  }
  for (const [host, to] of stage.redirects) addRedirect(draft, host, to)
  if (Object.keys(http.routers).length === 0) return null
  const maps: Record<string, object> = { ...http }
  const filled = Object.fromEntries(Object.entries(maps).filter(([, map]) => Object.keys(map).length > 0))
  const body = JSON.stringify({ http: filled }, null, 1)
  if (body.includes('{{')) throw new Error('a template must not get into a file of Traefik')
  return `# longshore route_epoch=${wholeNumber(stage.routeEpoch)}\n${body}\n`
}

/** The epoch of a file that {@link dynamicFile} made; null where it was made by something else, or is half a file. */
export function epochOf(file: string): number | null {
  const [first = '', ...rest] = file.split('\n')
  const found = EPOCH.exec(first)
  return found && rest.join('\n').endsWith('}\n') ? Number(found[1]) : null
}

/** A host that only a Traefik answers on that has taken over this epoch of the stage, by sending it to {@link epochUrl}. */
export function epochHost(stage: StageRoutes): string {
  return `epoch-${wholeNumber(stage.routeEpoch)}.${id(stage.stageId)}.longshore.invalid`
}

/** Where {@link epochHost} sends. */
export function epochUrl(host: string): string {
  return `http://${host}/followed`
}

/** Null while nothing serves the stage. */
export function expectedOf(stage: StageRoutes, entries: TraefikEntries): Expected | null {
  const [host] = stage.hosts
  if (!stage.current || host === undefined) return null
  const name = routerName(stage, host)
  return {
    router: entries.certResolver === null ? name : `${name}-tls`,
    service: serviceName(stage.current),
    servers: stage.current.addresses.map((address) => serverUrl(address, stage.current?.port ?? 0)),
  }
}

/**
 * A deployment's own host answers over HTTP also where there is TLS: no redirect may stand before the container when it
 * is asked whether it is reached. Over TLS it gets a certificate that Traefik has (a wildcard), never one of its own:
 * one for each deployment would use up what certificate authorities grant in a week.
 */
function addDeployment({ http, stage, entries }: Draft, host: string, target: Target): void {
  const mark = `${serviceName(target)}-mark`
  const router = { rule: hostRule(host), service: serviceName(target), middlewares: [mark] }
  http.middlewares[mark] = { headers: { customResponseHeaders: { [MARK]: id(target.deploymentId) } } }
  http.services[serviceName(target)] = serviceOf(target)
  const name = routerName(stage, host)
  http.routers[name] = { ...router, entryPoints: [named(entries.entryPoint)] }
  if (entries.certResolver === null) return
  http.routers[`${name}-tls`] = { ...router, entryPoints: [named(entries.tlsEntryPoint)], tls: {} }
}

function addHost({ http, stage, entries }: Draft, host: string, service: string): void {
  const router = { rule: hostRule(host), service }
  const plain = { ...router, entryPoints: [named(entries.entryPoint)] }
  const name = routerName(stage, host)
  if (entries.certResolver === null) {
    http.routers[name] = plain
    return
  }
  const upgrade = `longshore-${id(stage.stageId)}-https`
  http.middlewares[upgrade] = { redirectScheme: { scheme: 'https', permanent: true } }
  http.routers[name] = { ...plain, middlewares: [upgrade] }
  http.routers[`${name}-tls`] = { ...router, ...secured(entries) }
}

/** The host is known, so the expression takes it as it is and puts only the other one in; the rest of the URL stays. */
function addRedirect({ http, stage, entries }: Draft, host: string, to: string): void {
  const name = routerName(stage, host)
  const router = { rule: hostRule(host), service: NO_SERVICE, middlewares: [`${name}-to`] }
  hostRule(to) // asserts its grammar
  const scheme = entries.certResolver === null ? 'http' : 'https'
  // The port of plain HTTP means nothing to TLS.
  const port = scheme === 'http' ? '${1}' : ''
  http.middlewares[`${name}-to`] = {
    redirectRegex: {
      regex: '^https?://[^/:]+(:[0-9]+)?/(.*)$',
      replacement: `${scheme}://${to}${port}/\${2}`,
      permanent: true,
    },
  }
  http.routers[name] = { ...router, entryPoints: [named(entries.entryPoint)] }
  if (entries.certResolver !== null) http.routers[`${name}-tls`] = { ...router, ...secured(entries) }
}

/** Traefik takes over a file as a whole: with this host all the others are as the file says. */
function addEpoch({ http, stage, entries }: Draft): void {
  const host = epochHost(stage)
  const name = routerName(stage, host)
  http.middlewares[`${name}-to`] = { redirectRegex: { regex: '^.*$', replacement: epochUrl(host) } }
  http.routers[name] = {
    ...{ rule: hostRule(host), service: NO_SERVICE, middlewares: [`${name}-to`] },
    entryPoints: [named(entries.entryPoint)],
  }
}

function secured(entries: TraefikEntries): Pick<HttpRouter, 'entryPoints' | 'tls'> {
  return {
    entryPoints: [named(entries.tlsEntryPoint)],
    tls: { certResolver: named(entries.certResolver ?? '') },
  }
}

function serviceOf(target: Target): object {
  const servers = target.addresses.map((address) => ({ url: serverUrl(address, target.port) }))
  if (servers.length === 0) throw new Error(`deployment ${target.deploymentId} has no address`)
  return { loadBalancer: { passHostHeader: true, servers } }
}

function serverUrl(address: string, port: number): string {
  if (isIPv4(address)) return `http://${address}:${wholeNumber(port)}`
  if (isIPv6(address) && !address.includes('%')) return `http://[${address}]:${wholeNumber(port)}`
  throw new Error(`${JSON.stringify(address)} is not the address of a container`)
}

/** One for each host. Hosts have no underscore, so that two of them never share a name. */
function routerName(stage: StageRoutes, host: string): string {
  hostRule(host) // asserts its grammar
  return `longshore-${id(stage.stageId)}-${host.replaceAll('.', '_')}`
}

function serviceName(target: Target): string {
  return `longshore-${id(target.deploymentId)}`
}

function id(text: string): string {
  if (/^[a-z0-9]{1,32}$/.test(text)) return text
  throw new Error(`${JSON.stringify(text)} is not an id`)
}

function named(text: string): string {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(text)) return text
  throw new Error(`${JSON.stringify(text)} is not a name in Traefik's configuration`)
}

function wholeNumber(value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new Error(`${value} is not a whole number`)
}
