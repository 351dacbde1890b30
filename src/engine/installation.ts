import { WORKER_SECONDS } from './presence/worker-absence.js'
import type { Queryable } from './sql/queryable.js'

/** As package.json has it; a test compares them. */
export const VERSION = '0.1.0'

/** What a worker last saw of its Docker engine: version, or why there is none. */
export interface SeenDocker {
  readonly version: string | null
  readonly error: string | null
}

/** Of the worker that fares best; null: no worker lives. */
export async function readDocker(database: Queryable): Promise<SeenDocker | null> {
  const [seen] = await database.query<SeenDocker[]>(
    `SELECT docker_version AS version, docker_error AS error FROM worker
      WHERE seen_at > now() - make_interval(secs => $1) ORDER BY docker_error IS NOT NULL, seen_at DESC LIMIT 1`,
    [WORKER_SECONDS],
  )
  return seen ?? null
}

/** What the database knows of the processes of an installation. */
export interface Installation {
  /** Of the Docker engine that a worker has reached last; null: none reaches one. */
  readonly dockerVersion: string | null
  readonly queueLength: number
  readonly workers: number
}

export async function readInstallation(database: Queryable): Promise<Installation> {
  const docker = await readDocker(database)
  const [row] = await database.query<Pick<Installation, 'workers' | 'queueLength'>[]>(
    `SELECT (SELECT count(*) FROM worker WHERE seen_at > now() - make_interval(secs => $1))::int AS workers,
            (SELECT count(*) FROM deployment d JOIN app a ON a.id = d.app_id
              WHERE d.status = 'PENDING' AND a.deleted_at IS NULL)::int AS "queueLength"`,
    [WORKER_SECONDS],
  )
  const dockerVersion = docker?.error === null ? docker.version : null
  return { dockerVersion, workers: row?.workers ?? 0, queueLength: row?.queueLength ?? 0 }
}
