import { IN_FLIGHT } from '../sql/predicates.js'
import type { Queryable } from '../sql/queryable.js'

/** URLs of apps, and of what is under way: an app may have another one by now, or be deleted. */
export async function namedRepositories(database: Queryable): Promise<ReadonlySet<string>> {
  const found = await database.query<{ url: string }[]>(
    `SELECT repo_url AS url FROM app WHERE deleted_at IS NULL
      UNION SELECT coalesce(d.configuration -> 'source' ->> 'repoUrl', a.repo_url)
              FROM deployment d JOIN app a ON a.id = d.app_id WHERE d.status IN ${IN_FLIGHT}`,
  )
  return new Set(found.map(({ url }) => url))
}
