import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { OperationTypeNode } from 'graphql'
import type { Client } from 'graphql-ws'
import type { LogEvent } from './client.js'
import { TOKEN } from './server.js'

const LOGS = gql`
  subscription Logs($id: ID!) {
    deploymentLogs(deploymentId: $id) {
      seq
      at
      phase
      stream
      text
      end {
        status
        lastSeq
        bytes
        omittedBytes
        clipped
      }
    }
  }
`
const UPDATED = gql`
  subscription Updated($id: ID!) {
    deploymentUpdated(id: $id) {
      id
      status
      commitSha
      image
      container
      port
      url
    }
  }
`

/** Apollo Client 4 as a web frontend sets it up: POST for queries and mutations, a WebSocket for subscriptions. */
export function createApollo(port: number, socket: Client): ApolloClient {
  const http = new HttpLink({
    uri: `http://127.0.0.1:${port}/graphql`,
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  const link = ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(socket),
    http,
  )
  return new ApolloClient({ link, cache: new InMemoryCache() })
}

interface Updated {
  id: string
  status: string
  commitSha: string | null
  image: string | null
  container: string | null
  port: number | null
}

/** Each state until the deployment serves or has ended. */
export function followStatus(apollo: ApolloClient, id: string): Promise<Updated[]> {
  return new Promise((resolve, reject) => {
    const seen: Updated[] = []
    const subscription = apollo
      .subscribe<{ deploymentUpdated: Updated }>({ query: UPDATED, variables: { id } })
      .subscribe({
        next: ({ data, error }) => {
          if (!data) return reject(toError(error))
          seen.push(data.deploymentUpdated)
          if (data.deploymentUpdated.status !== 'RUNNING') return
          resolve(seen)
          queueMicrotask(() => subscription.unsubscribe())
        },
        error: (error: unknown) => reject(toError(error)),
        complete: () => resolve(seen),
      })
  })
}

/** The whole log, and when each event came. */
export function followLog(
  apollo: ApolloClient,
  id: string,
): Promise<{ events: LogEvent[]; receivedAt: number[] }> {
  return new Promise((resolve, reject) => {
    const events: LogEvent[] = []
    const receivedAt: number[] = []
    apollo.subscribe<{ deploymentLogs: LogEvent }>({ query: LOGS, variables: { id } }).subscribe({
      next: ({ data, error }) => {
        if (!data) return reject(toError(error))
        events.push(data.deploymentLogs)
        receivedAt.push(Date.now())
      },
      error: (error: unknown) => reject(toError(error)),
      complete: () => resolve({ events, receivedAt }),
    })
  })
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(`no data: ${JSON.stringify(error)}`)
}
