import { createClient, type Client } from 'graphql-ws'
import { WebSocket } from 'ws'
import { TOKEN } from './server.js'

export interface GraphQLAnswer<T> {
  readonly data?: T | null
  readonly errors?: { message: string; extensions: { code: string; field?: string } }[]
}

/** POST /graphql. Rejects with the first error's message. */
export async function graphql<T>(port: number, query: string, variables: object = {}): Promise<T> {
  const answer = await tryGraphql<T>(port, query, variables)
  if (answer.errors || !answer.data) throw new Error(answer.errors?.[0]?.message ?? 'no data')
  return answer.data
}

export async function tryGraphql<T>(
  port: number,
  query: string,
  variables: object = {},
  token = TOKEN,
): Promise<GraphQLAnswer<T>> {
  const response = await fetch(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST',
    // A kept connection may be closed by the server's timer just when a slow test uses it again.
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      connection: 'close',
    },
    body: JSON.stringify({ query, variables }),
  })
  return (await response.json()) as GraphQLAnswer<T>
}

/** A real graphql-ws client. */
export function wsClient(port: number, token = TOKEN): Client {
  return createClient({
    url: `ws://127.0.0.1:${port}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
  })
}

export interface LogEvent {
  readonly seq: number
  readonly at: string
  readonly phase: string
  readonly stream: string
  readonly text: string
  readonly end: {
    status: string
    lastSeq: number
    bytes: number
    omittedBytes: number
    clipped: boolean
  } | null
}

const LOGS = `subscription ($id: ID!, $after: Int!) {
  deploymentLogs(deploymentId: $id, after: $after) {
    seq at phase stream text end { status lastSeq bytes omittedBytes clipped }
  }
}`

/** Follows a log from `after` to its end, or as far as `enough` says; over a connection of its own. */
export async function followLog(
  port: number,
  deploymentId: string,
  after = 0,
  enough: (events: LogEvent[]) => boolean = () => false,
): Promise<LogEvent[]> {
  const client = wsClient(port)
  const events: LogEvent[] = []
  const answers = client.iterate<{ deploymentLogs: LogEvent }>({
    query: LOGS,
    variables: { id: deploymentId, after },
  })
  try {
    for await (const answer of answers) {
      if (answer.errors || !answer.data) throw new Error(answer.errors?.[0]?.message ?? 'no data')
      events.push(answer.data.deploymentLogs)
      if (enough(events)) break
    }
    return events
  } finally {
    await client.dispose()
  }
}

export interface RuntimeLogEvent {
  readonly deploymentId: string
  readonly at: string
  readonly stream: string
  readonly text: string
}

const RUNTIME_LOGS = `subscription ($stageId: ID!, $tail: Int) {
  runtimeLogs(stageId: $stageId, tail: $tail) { deploymentId at stream text }
}`

/**
 * Reads what a stage's containers write until `enough` says so, or until the subscription completes; `seen` is filled
 * as it comes. Rejects with the extensions of an error, as JSON, and its message.
 */
export async function readRuntimeLog(
  port: number,
  options: { stageId: string; tail?: number },
  enough: (events: RuntimeLogEvent[]) => boolean = () => false,
  seen: RuntimeLogEvent[] = [],
): Promise<RuntimeLogEvent[]> {
  const client = wsClient(port)
  const answers = client.iterate<{ runtimeLogs: RuntimeLogEvent }>({
    query: RUNTIME_LOGS,
    variables: { ...options },
  })
  try {
    for await (const { data, errors } of answers) {
      if (errors || !data)
        throw new Error(`${JSON.stringify(errors?.[0]?.extensions)} ${errors?.[0]?.message}`)
      seen.push(data.runtimeLogs)
      if (enough(seen)) break
    }
    return seen
  } finally {
    await client.dispose()
  }
}

/** The id of an app's production stage. */
export async function stageOf(port: number, appId: string): Promise<string> {
  const query = 'query ($id: ID!) { app(id: $id) { stage { id } } }'
  return (await graphql<{ app: { stage: { id: string } } }>(port, query, { id: appId })).app.stage.id
}

export interface DeploymentState {
  readonly id: string
  readonly status: string
  readonly error: {
    code: string
    phase: string
    message: string
    exitCode: number | null
    lastLines: string[]
  } | null
}

const DEPLOYMENT = `query ($id: ID!) {
  deployment(id: $id) { id status error { code phase message exitCode lastLines } }
}`

export async function readDeployment(port: number, id: string): Promise<DeploymentState> {
  return (await graphql<{ deployment: DeploymentState }>(port, DEPLOYMENT, { id })).deployment
}

/** A deployment's changes of status, as `FROM > TO: reason`, oldest first. */
export async function readEvents(port: number, id: string): Promise<string[]> {
  const query = 'query ($id: ID!) { deployment(id: $id) { events { from to reason } } }'
  interface Found {
    readonly deployment: { events: { from: string | null; to: string; reason: string | null }[] }
  }
  const { deployment } = await graphql<Found>(port, query, { id })
  return deployment.events.map(({ from, to, reason }) => `${from ?? ''} > ${to}: ${reason ?? ''}`)
}

const CREATE = `mutation ($input: CreateAppInput!) {
  createApp(input: $input) { id deployments(first: 1) { nodes { id } } }
}`

/** Creates an app with its first deployment. */
export async function createApp(
  port: number,
  input: { name: string; repoUrl: string } & Record<string, unknown>,
): Promise<{ appId: string; deploymentId: string }> {
  const { createApp: app } = await graphql<{
    createApp: { id: string; deployments: { nodes: { id: string }[] } }
  }>(port, CREATE, { input })
  return { appId: app.id, deploymentId: app.deployments.nodes[0]?.id ?? '' }
}

export async function deploy(port: number, appId: string, input: object = {}): Promise<string> {
  const query = 'mutation ($appId: ID!, $input: DeployInput) { deploy(appId: $appId, input: $input) { id } }'
  return (await graphql<{ deploy: { id: string } }>(port, query, { appId, input })).deploy.id
}

const UPDATE_STAGE = `mutation ($id: ID!, $input: UpdateStageInput!) { updateStage(id: $id, input: $input) { id } }`

/** Changes the production stage of an app; gives the stage's id. */
export async function updateStage(port: number, appId: string, input: object): Promise<string> {
  const query = 'query ($id: ID!) { app(id: $id) { stage { id } } }'
  const { app } = await graphql<{ app: { stage: { id: string } } }>(port, query, { id: appId })
  await graphql(port, UPDATE_STAGE, { id: app.stage.id, input })
  return app.stage.id
}
