import type { Queryable } from '../sql/queryable.js'
import { containerName, stageHost } from '../addresses.js'
import { counterpart } from '../names.js'

/** Where requests for a host go. */
export interface Target {
  readonly deploymentId: string
  /** One for each replica; never empty. */
  readonly addresses: readonly string[]
  readonly port: number
}

/** All that is routed for one stage. */
export interface StageRoutes {
  readonly stageId: string
  readonly appName: string
  readonly stageName: string
  /** Rises with each switch of the stage's traffic. */
  readonly routeEpoch: number
  /** Its own host first, then the user's domains. */
  readonly hosts: readonly string[]
  /** Host → where browsers are sent: `www.` and the name without it stand for each other. */
  readonly redirects: ReadonlyMap<string, string>
  /** What the hosts answer with; null while nothing serves. */
  readonly current: Target | null
  /** Hosts of what has the stage's traffic while its containers are being started. */
  readonly starting: readonly string[]
  /** Hosts of what had the stage's traffic, and failed when nothing had served before it. */
  readonly failed: readonly string[]
  /** Each deployment's own host, while its containers run. */
  readonly deployments: readonly { readonly host: string; readonly target: Target }[]
}

interface Row {
  id: string
  app: string
  stage: string
  route_epoch: string
  current_deployment_id: string | null
  starting: boolean
  failed: boolean
  domains: string[]
  targets: Target[]
}

const ROWS = `
  SELECT s.id, a.name AS app, s.name AS stage, s.route_epoch, s.current_deployment_id,
         EXISTS (SELECT 1 FROM deployment d WHERE d.id = s.current_deployment_id AND d.addresses IS NULL
                    AND d.status IN ('RUNNING', 'RETIRED') AND NOT s.stopped) AS starting,
         EXISTS (SELECT 1 FROM deployment d WHERE d.id = s.current_deployment_id AND d.status = 'FAILED'
                    AND NOT s.stopped) AS failed,
         ARRAY(SELECT host FROM domain WHERE stage_id = s.id ORDER BY host) AS domains,
         (SELECT coalesce(json_agg(json_build_object('deploymentId', d.id, 'addresses', d.addresses, 'port', d.port)), '[]')
            FROM deployment d WHERE d.stage_id = s.id AND d.addresses IS NOT NULL
             AND (d.status IN ('STARTING', 'ROUTING') OR NOT s.stopped AND d.status IN ('RUNNING', 'RETIRED'))) AS targets
    FROM stage s JOIN app a ON a.id = s.app_id
   WHERE a.deleted_at IS NULL
   ORDER BY s.id`

/**
 * What the database says, in one statement: a projection that anybody can make again at any time. A stage that is
 * stopped answers nothing, but what is being started for it is reached at its own host.
 */
export async function readRoutes(database: Queryable, baseDomain: string): Promise<StageRoutes[]> {
  const rows = await database.query<Row[]>(ROWS)
  const owned = new Set(rows.flatMap((row) => row.domains))
  return rows.map((row) => {
    const hosts = [stageHost(row.app, row.stage, baseDomain), ...row.domains]
    const currentHosts = () => [...hosts, hostOf(row.current_deployment_id ?? '')]
    const hostOf = (deploymentId: string) => `${containerName(row.app, deploymentId)}.${baseDomain}`
    return {
      stageId: row.id,
      appName: row.app,
      stageName: row.stage,
      routeEpoch: Number(row.route_epoch),
      hosts,
      redirects: redirectsOf(row.domains, owned),
      current: row.targets.find(({ deploymentId }) => deploymentId === row.current_deployment_id) ?? null,
      starting: row.starting ? currentHosts() : [],
      failed: row.failed ? currentHosts() : [],
      deployments: row.targets.map((target) => ({ host: hostOf(target.deploymentId), target })),
    }
  })
}

/** A domain's counterpart with or without `www.`, unless that is somebody's domain itself. */
function redirectsOf(domains: readonly string[], owned: ReadonlySet<string>): Map<string, string> {
  const pairs = domains.map((host) => [counterpart(host), host] as const)
  return new Map(pairs.filter(([from]) => !owned.has(from)))
}
