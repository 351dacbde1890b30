import { UNSETTLED } from '../sql/predicates.js'
import type { Queryable } from '../sql/queryable.js'

const IN_USE = `SELECT id FROM deployment WHERE status IN ${UNSETTLED} UNION SELECT id FROM push_comparison`

/** Ids of deployments and of comparisons of pushes that may read what they fetched: they wait for a worker, or one has them. */
export function commitsInUse(database: Queryable): Promise<ReadonlySet<string>> {
  return idsOf(database, IN_USE)
}

/**
 * Those, and of each stage what serves, the newest that fetched a commit, however it ended, and the newest that was built
 * of one: the next fetch brings what differs from them. What runs an image again has fetched nothing, and a restart does not
 * show as such.
 */
export function keptCommits(database: Queryable): Promise<ReadonlySet<string>> {
  const newest = (which: string) =>
    `(SELECT DISTINCT ON (stage_id) id FROM deployment WHERE ${which} ORDER BY stage_id, generation DESC)`
  return idsOf(
    database,
    `${IN_USE}
      UNION SELECT current_deployment_id FROM stage WHERE current_deployment_id IS NOT NULL
      UNION ${newest('commit_sha IS NOT NULL AND source_id IS NULL')}
      UNION ${newest('build_key IS NOT NULL')}`,
  )
}

async function idsOf(database: Queryable, sql: string): Promise<ReadonlySet<string>> {
  return new Set((await database.query<{ id: string }[]>(sql)).map(({ id }) => id))
}
