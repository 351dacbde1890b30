import type { DataSource } from 'typeorm'
import type { DeploymentStatus } from '../../entities/deployment-status.js'
import { containerName, stageHost } from '../names.js'

/** Where requests for a host go. */
export interface Target {
  readonly deploymentId: string
  /** One for each replica; never empty. */
  readonly addresses: readonly string[]
  readonly port: number
}

export type RoutingTable = ReadonlyMap<string, Target>

interface Row {
  id: string
  app: string
  stage: string
  status: DeploymentStatus
  current: boolean
  addresses: string[]
  port: number
}

const ROWS = `
  SELECT d.id, a.name AS app, s.name AS stage, d.status, s.current_deployment_id = d.id AS current, d.addresses, d.port
    FROM deployment d JOIN stage s ON s.id = d.stage_id JOIN app a ON a.id = d.app_id
   WHERE d.addresses IS NOT NULL AND a.deleted_at IS NULL AND NOT s.stopped
     AND d.status IN ('STARTING', 'ROUTING', 'RUNNING', 'RETIRED')`

/** The table that the database says, in one statement: a projection that anybody can make again at any time. */
export async function readRoutingTable(database: DataSource, baseDomain: string): Promise<RoutingTable> {
  const rows = await database.query<Row[]>(ROWS)
  const table = new Map<string, Target>()
  for (const row of rows) {
    const target = { deploymentId: row.id, addresses: row.addresses, port: row.port }
    table.set(`${containerName(row.app, row.id)}.${baseDomain}`, target)
    if (row.current) table.set(stageHost(row.app, row.stage, baseDomain), target)
  }
  return table
}
