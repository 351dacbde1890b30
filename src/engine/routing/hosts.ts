import type { Page } from './error-page.js'
import type { StageRoutes, Target } from './table.js'

/** What the built-in router answers, host by host. */
export interface Hosts {
  readonly targets: ReadonlyMap<string, Target>
  /** Pages for hosts that have no target. */
  readonly pages: ReadonlyMap<string, Page>
  readonly redirects: ReadonlyMap<string, string>
  readonly current: ReadonlyMap<string, { readonly deploymentId: string | null; readonly epoch: number }>
}

export const NOTHING: Hosts = {
  targets: new Map(),
  pages: new Map(),
  redirects: new Map(),
  current: new Map(),
}

/** Of the routing table. */
export function hostsOf(stages: readonly StageRoutes[]): Hosts {
  const targets = new Map<string, Target>()
  const pages = new Map<string, Page>()
  const redirects = new Map<string, string>()
  const current = new Map<string, { deploymentId: string | null; epoch: number }>()
  for (const stage of stages) {
    for (const host of stage.starting) pages.set(host, 503)
    for (const host of stage.failed) pages.set(host, 'failed')
    for (const { host, target } of stage.deployments) targets.set(host, target)
    if (stage.current) for (const host of stage.hosts) targets.set(host, stage.current)
    for (const [host, to] of stage.redirects) redirects.set(host, to)
    current.set(stage.stageId, { deploymentId: stage.current?.deploymentId ?? null, epoch: stage.routeEpoch })
  }
  return { targets, pages, redirects, current }
}
