import { DeploymentStatus, IN_FLIGHT_STATUSES } from '../../entities/deployment-status.js'
import type { ContainerSummary } from '../docker/docker.js'
import { containerNames } from './containers.js'
import { DEPLOYMENT_LABEL } from '../routing/labels.js'

/** What the database says of a deployment that has containers, or should have. */
export interface ReconcileRow {
  readonly id: string
  readonly appName: string
  readonly status: DeploymentStatus
  readonly addresses: readonly string[] | null
  readonly replicas: number
  /** Its stage's traffic goes to it, and the stage is to run. */
  readonly wanted: boolean
  /** Traffic has left it, but it may still answer what is under way, or is being started again for an automatic rollback. */
  readonly draining: boolean
  /** RETIRED and stopped, but an automatic rollback may still need it. */
  readonly kept: boolean
}

/** What has to be done so that the engine's containers are what the database says. */
export type ReconcileAction =
  /** It serves, or is to serve: its containers have to run, and the router has to know their addresses. */
  | { readonly kind: 'serve'; readonly deploymentId: string }
  /** It served: its drain has ended, or who drained it has died. */
  | { readonly kind: 'retire'; readonly deploymentId: string }
  /** Nothing needs this container. */
  | { readonly kind: 'remove'; readonly deploymentId: string; readonly container: string }

/**
 * Compares the containers that this installation made with the database. Pure: what it sees is all it knows.
 * Containers of deployments that wait or are under way are left alone; their worker replaces or removes them.
 */
export function planReconcile(
  rows: readonly ReconcileRow[],
  containers: readonly ContainerSummary[],
): ReconcileAction[] {
  const actions: ReconcileAction[] = []
  const known = new Map(rows.map((row) => [row.id, row]))
  for (const row of rows) {
    if (row.wanted && !serves(row, containers)) actions.push({ kind: 'serve', deploymentId: row.id })
  }
  const retired = new Set<string>()
  for (const { name, labels, running } of containers) {
    const deploymentId = labels[DEPLOYMENT_LABEL] ?? ''
    const row = known.get(deploymentId)
    if (row?.wanted && isSuperfluous(name, row, containers)) {
      actions.push({ kind: 'remove', deploymentId, container: name })
      continue
    }
    if (row && (row.wanted || row.draining || (row.kept && !running) || isUnderWay(row.status))) continue
    if (row?.status === DeploymentStatus.RETIRED) retired.add(deploymentId)
    else actions.push({ kind: 'remove', deploymentId, container: name })
  }
  for (const deploymentId of retired) actions.push({ kind: 'retire', deploymentId })
  return actions
}

/** Somebody has given it another name, and its replacement serves already. */
function isSuperfluous(name: string, row: ReconcileRow, containers: readonly ContainerSummary[]): boolean {
  return !containerNames(row.appName, row.id, row.replicas).includes(name) && serves(row, containers)
}

function serves(row: ReconcileRow, containers: readonly ContainerSummary[]): boolean {
  const addresses = containerNames(row.appName, row.id, row.replicas).map((name) => {
    const found = containers.find((container) => container.name === name)
    return found?.running ? found.address : null
  })
  return (
    row.status === DeploymentStatus.RUNNING &&
    addresses.every((address, index) => address && address === row.addresses?.[index])
  )
}

function isUnderWay(status: DeploymentStatus): boolean {
  return [DeploymentStatus.PENDING, ...IN_FLIGHT_STATUSES].includes(status)
}
