import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import pg from 'pg'
import type { ListName } from './api-lists.js'

/** As the API has sent it. */
export interface Statement {
  readonly sql: string
  readonly values: unknown[]
}

/** What the process is told before it listens. */
export interface BareSetup {
  readonly url: string
  readonly connections: number
  readonly statements: Readonly<Record<ListName, readonly Statement[]>>
}

type Row = Readonly<Record<string, string | number | Date | null>>

const time = (value: unknown) => (value instanceof Date ? value.toISOString() : null)
const cursor = (list: string, key: unknown) => Buffer.from(`${list}:${String(key)}`).toString('base64url')

/** The answers, made by hand of what the statements give, one list of rows for each. */
const SHAPES: Readonly<Record<ListName, (...results: Row[][]) => object>> = {
  plain: (apps = []) => {
    const nodes = apps.map((row) => ({
      id: row.app_id,
      name: row.app_name,
      repoUrl: row.app_repo_url,
      branch: row.app_branch,
      createdAt: time(row.app_created_at),
      updatedAt: time(row.app_updated_at),
    }))
    return { apps: { nodes } }
  },
  dashboard: (apps = [], latest = []) => {
    const byApp = new Map(latest.map((row) => [row.deployment_app_id, row]))
    const nodes = apps.map(({ app_id: id, app_name: name }) => {
      const row = byApp.get(id ?? '') ?? {}
      const latestDeployment = {
        id: row.deployment_id,
        status: row.deployment_shown_as ?? row.deployment_status,
        url: row.deployment_addresses && `http://${String(name)}-${String(row.deployment_id)}.localhost:PORT`,
        commitSha: row.deployment_commit_sha,
        commitMessage: row.deployment_commit_message,
        createdAt: time(row.deployment_created_at),
      }
      return { id, name, url: `http://${String(name)}.localhost:PORT`, latestDeployment }
    })
    const pageInfo = { endCursor: cursor('apps', apps.at(-1)?.app_name), hasNextPage: false }
    return { apps: { nodes, pageInfo } }
  },
  deployments: ([app] = [], rows = []) => {
    const nodes = rows.map((row) => ({
      id: row.deployment_id,
      status: row.deployment_shown_as ?? row.deployment_status,
      trigger: row.deployment_trigger,
      actor: row.deployment_actor,
      ref: row.deployment_ref,
      commitSha: row.deployment_commit_sha,
      commitMessage: row.deployment_commit_message,
      createdAt: time(row.deployment_created_at),
      startedAt: time(row.deployment_started_at),
      finishedAt: time(row.deployment_finished_at),
      canCancel: row.deployment_shown_as === null && row.deployment_status === 'PENDING',
      canRollback: row.deployment_live_at !== null && row.deployment_image_id !== null,
      error: row.deployment_error_code && {
        code: row.deployment_error_code,
        message: row.deployment_error_message,
      },
    }))
    const pageInfo = {
      endCursor: cursor('deployments', rows.at(-1)?.deployment_generation),
      hasNextPage: false,
    }
    return { app: { id: app?.app_id, deployments: { nodes, pageInfo } } }
  },
  log: ([deployment] = [], chunks = []) => {
    const events = chunks.map(({ seq, at, stream, text }) => ({ seq, at: time(at), stream, text }))
    const end = { status: chunks[0]?.end_status, lastSeq: chunks[0]?.last_seq }
    return { deployment: { id: deployment?.deployment_id, logs: { events, end } } }
  },
}

/** POST /NAME: the list's statements, one after the other, and its answer as JSON. */
function serve({ url, connections, statements }: BareSetup): void {
  const pool = new pg.Pool({ connectionString: url, max: connections })
  const answer = async (request: IncomingMessage) => {
    let body = ''
    for await (const text of request.setEncoding('utf8')) body += text as string
    JSON.parse(body)
    const name = request.url?.slice(1) as ListName
    const results: Row[][] = []
    for (const { sql, values } of statements[name]) results.push((await pool.query<Row>(sql, values)).rows)
    return JSON.stringify({ data: SHAPES[name](...results) })
  }
  const server = createServer((request, response) => {
    answer(request).then(
      (text) => response.setHeader('content-type', 'application/json').end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
}

process.once('message', serve)
