import type { ApolloClient } from '@apollo/client'
import type { Arrivals } from './arrivals.js'
import type { ChangesSubscription } from './gql/graphql.js'
import { CHANGES } from './operations.js'

/** What comes together, as after a reconnect, has its lists fetched once. */
const GATHER_MS = 100
/** Fields in which something appears or goes. */
const LISTS: ReadonlySet<string> = new Set(['apps', 'deployments', 'stages'])

type Change = ChangesSubscription['changes']

export interface ChangeFeedOptions {
  /** Gets the id of everything that changes. */
  readonly arrivals: Arrivals
  /** Called when the feed cannot go on. */
  readonly onError: (error: unknown) => void
}

/**
 * Keeps all screens up to date with one subscription. Gives what ends it.
 *
 * A node that changed needs no code: Apollo Client merges its fields into the cache. Only lists do, when something is new
 * or gone: those on the screen are fetched again.
 */
export function followChanges(apollo: ApolloClient, { arrivals, onError }: ChangeFeedOptions): () => void {
  const stale = new Set<string>()
  let timer: ReturnType<typeof setTimeout> | undefined
  const refetchLists = () => {
    timer = undefined
    refetch(apollo, [...stale])
    stale.clear()
  }
  const apply = (change: Change) => {
    // At the start, and when too much was missed: a query may have been answered before the feed began.
    if (change.event === 'RESET') return void apollo.refetchQueries({ include: 'active' })
    if (change.id !== null) arrivals.add(change.id)
    if (change.event === 'UPDATED') return
    if (change.event === 'DELETED') forget(apollo, change)
    stale.add('ROOT_QUERY')
    const app = change.node && 'app' in change.node ? apollo.cache.identify(change.node.app) : undefined
    if (app !== undefined) stale.add(app)
    timer ??= setTimeout(refetchLists, GATHER_MS)
  }
  const subscription = apollo.subscribe({ query: CHANGES }).subscribe({
    next: ({ data, error }) => (data ? apply(data.changes) : onError(error)),
    error: onError,
  })
  return () => {
    clearTimeout(timer)
    subscription.unsubscribe()
  }
}

/** Lists leave out what is gone. A screen that shows nothing else asks for it again, and gets null. */
function forget({ cache }: ApolloClient, { typename, id }: Change): void {
  if (typename === null || id === null) return
  const entry = cache.identify({ __typename: typename, id })
  if (entry === undefined) return
  cache.evict({ id: entry })
  cache.gc()
}

/** Fetches the lists of these objects that are on the screen. */
function refetch(apollo: ApolloClient, ids: readonly string[]): void {
  void apollo.refetchQueries({
    updateCache(cache) {
      for (const id of ids) {
        cache.modify({
          id,
          fields: (value: unknown, { fieldName, INVALIDATE }) => (LISTS.has(fieldName) ? INVALIDATE : value),
        })
      }
    },
  })
}
