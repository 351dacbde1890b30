import type { Longshore } from './longshore.js'

const APPS = 50
const DEPLOYMENTS_OF_EACH = 20
const CHUNKS = 200
/** What deployments and the log of the lists belong to. */
const APP = 'app01'
const DEPLOYMENT = 'dep01x20'

export interface List {
  readonly title: string
  readonly query: string
  readonly variables: Readonly<Record<string, unknown>>
}

/** What a frontend's pages ask for, as it asks: with variables, and the position for the next page. */
export const LISTS = {
  plain: {
    title: '50 apps: six fields',
    query:
      'query Plain($first: Int!) { apps(first: $first) { nodes { id name repoUrl branch createdAt updatedAt } } }',
    variables: { first: APPS },
  },
  dashboard: {
    title: '50 apps: URL, latest deployment',
    query: `query Dashboard($first: Int!) {
      apps(first: $first) {
        nodes { id name url latestDeployment { id status url commitSha commitMessage createdAt } }
        pageInfo { endCursor hasNextPage }
      }
    }`,
    variables: { first: APPS },
  },
  deployments: {
    title: '20 deployments of an app',
    query: `query Deployments($id: ID!, $first: Int!) {
      app(id: $id) {
        id
        deployments(first: $first) {
          nodes {
            id status trigger actor ref commitSha commitMessage createdAt startedAt finishedAt canCancel canRollback
            error { code message }
          }
          pageInfo { endCursor hasNextPage }
        }
      }
    }`,
    variables: { id: APP, first: DEPLOYMENTS_OF_EACH },
  },
  log: {
    title: '200 chunks of a log',
    query: `query Log($id: ID!, $after: Int!) {
      deployment(id: $id) { id logs(after: $after) { events { seq at stream text } end { status lastSeq } } }
    }`,
    variables: { id: DEPLOYMENT, after: 0 },
  },
} satisfies Readonly<Record<string, List>>

export type ListName = keyof typeof LISTS

/** 50 apps that serve, each with 20 deployments, one of which failed; a log of 200 chunks of three lines. */
export async function insertLists(longshore: Longshore): Promise<void> {
  const appOf = `'app' || to_char(a, 'FM00')`
  await longshore.rows(
    `INSERT INTO app (id, name, repo_url, dockerfile_path, context_path)
     SELECT ${appOf}, ${appOf}, 'https://git.example.com/team/' || ${appOf} || '.git', 'Dockerfile', '.'
       FROM generate_series(1, ${APPS}) a`,
  )
  await longshore.rows(`INSERT INTO stage (id, app_id, name) SELECT 's' || id, id, 'production' FROM app`)
  await longshore.rows(
    `INSERT INTO deployment (id, app_id, stage_id, status, trigger, actor, ref, commit_sha, commit_message, image_id,
                             image, container, addresses, port, attempt, created_at, started_at, live_at, finished_at,
                             error_code, error_phase, error_message)
     SELECT 'dep' || to_char(a, 'FM00') || 'x' || to_char(d, 'FM00'), ${appOf}, 's' || ${appOf},
            CASE d WHEN 20 THEN 'RUNNING' WHEN 7 THEN 'FAILED' ELSE 'RETIRED' END, 'WEBHOOK', 'github', 'main',
            md5(a || '.' || d) || '00000000', 'Fix what number ' || d || ' left', 'sha256:' || md5(d::text),
            'mvp-app:x', 'app-x', CASE d WHEN 20 THEN ARRAY['127.0.0.1'] END, 8080, 1,
            now() + d * interval '1 hour', now(), CASE d WHEN 7 THEN NULL ELSE now() END,
            CASE d WHEN 20 THEN NULL ELSE now() END, CASE d WHEN 7 THEN 'BUILD_FAILED' END,
            CASE d WHEN 7 THEN 'BUILDING' END, CASE d WHEN 7 THEN 'the build ended with exit code 1' END
       FROM generate_series(1, ${DEPLOYMENTS_OF_EACH}) d, generate_series(1, ${APPS}) a`,
  )
  await longshore.rows(
    `INSERT INTO log_stream (deployment_id, epoch, last_seq, bytes, end_status) VALUES ($1, 1, $2, 1, 'RUNNING')`,
    [DEPLOYMENT, CHUNKS],
  )
  await longshore.rows(
    `INSERT INTO log_chunk (deployment_id, seq, at, phase, stream, text, log_day)
     SELECT $1, seq, now(), 'BUILDING', 'STDOUT', repeat('npm http fetch GET 200 of a package in 12 ms' || chr(10), 3),
            (SELECT log_day FROM log_stream WHERE deployment_id = $1)
       FROM generate_series(1, $2::int) seq`,
    [DEPLOYMENT, CHUNKS],
  )
  await longshore.rows('ANALYZE')
}
