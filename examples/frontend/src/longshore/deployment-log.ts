import type { ApolloClient } from '@apollo/client'
import { messageOf } from './form-errors.js'
import type { DeploymentLogsSubscription } from './gql/graphql.js'
import { DEPLOYMENT_LOGS } from './operations.js'
import { type Store, Value } from './store.js'

/** What comes faster is shown together. */
const GATHER_MS = 50

export type LogChunk = DeploymentLogsSubscription['deploymentLogs']

/** A log as far as it is known. */
export interface Log {
  readonly chunks: readonly LogChunk[]
  /** How it ended. Null: it goes on, or is not there any more. */
  readonly end: LogChunk['end']
  /** No more comes. Without `end`: the app was deleted. */
  readonly isComplete: boolean
  readonly error: string | null
}

const EMPTY: Log = { chunks: [], end: null, isComplete: false, error: null }

/** Follows a deployment's log while somebody listens; who listens again goes on where the last one stopped. */
export function followLog(apollo: ApolloClient, deploymentId: string): Store<Log> {
  const log = new Value<Log>(EMPTY)
  let listeners = 0
  let stop: (() => void) | null = null
  return {
    get: log.get,
    subscribe(listener) {
      const unlisten = log.subscribe(listener)
      listeners++
      if (!log.get().isComplete) stop ??= follow({ apollo, deploymentId, log })
      return () => {
        unlisten()
        if (--listeners > 0) return
        stop?.()
        stop = null
      }
    },
  }
}

interface Followed {
  readonly apollo: ApolloClient
  readonly deploymentId: string
  readonly log: Value<Log>
}

function follow({ apollo, deploymentId, log }: Followed): () => void {
  let arrived: LogChunk[] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  const show = (more: Partial<Log> = {}) => {
    clearTimeout(timer)
    timer = undefined
    const { chunks } = log.get()
    const end = arrived.at(-1)?.end ?? log.get().end
    log.set({ ...log.get(), end, chunks: [...chunks, ...arrived.filter(({ text }) => text !== '')], ...more })
    arrived = []
  }
  const subscription = apollo
    .subscribe({
      query: DEPLOYMENT_LOGS,
      variables: { id: deploymentId, after: log.get().chunks.at(-1)?.seq ?? 0 },
      // A log is long, and shown in one place.
      fetchPolicy: 'no-cache',
    })
    .subscribe({
      next: ({ data, error }) => {
        if (!data) return show({ error: messageOf(error) })
        arrived.push(data.deploymentLogs)
        timer ??= setTimeout(show, GATHER_MS)
      },
      error: (error: unknown) => show({ error: messageOf(error) }),
      complete: () => show({ isComplete: true }),
    })
  return () => {
    show()
    subscription.unsubscribe()
  }
}
