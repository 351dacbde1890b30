import { WORKER_SECONDS } from './claims/worker-absence.js'
import type { Queryable } from './logs/store.js'

/** As package.json has it; a test compares them. */
export const VERSION = '0.1.0'

/** What the database knows of the processes of an installation. */
export interface Installation {
  /** Of the Docker engine that a worker has reached last; null: none reaches one. */
  readonly dockerVersion: string | null
  readonly queueLength: number
  readonly workers: number
}

export async function readInstallation(database: Queryable): Promise<Installation> {
  const [row] = await database.query<Installation[]>(
    `WITH alive AS (SELECT * FROM worker WHERE seen_at > now() - make_interval(secs => $1))
     SELECT (SELECT docker_version FROM alive WHERE docker_error IS NULL ORDER BY seen_at DESC LIMIT 1) AS "dockerVersion",
            (SELECT count(*) FROM alive)::int AS workers,
            (SELECT count(*) FROM deployment d JOIN app a ON a.id = d.app_id
              WHERE d.status = 'PENDING' AND a.deleted_at IS NULL)::int AS "queueLength"`,
    [WORKER_SECONDS],
  )
  return row ?? { dockerVersion: null, queueLength: 0, workers: 0 }
}
