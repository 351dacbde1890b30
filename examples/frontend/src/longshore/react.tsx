import { ApolloProvider } from '@apollo/client/react'
import { createContext, type ReactNode, useContext, useMemo, useSyncExternalStore } from 'react'
import { followLog, type Log } from './deployment-log.js'
import type { Longshore } from './longshore.js'
import type { Access } from './session.js'
import type { ConnectionState } from './socket.js'
import type { Store } from './store.js'

const LongshoreContext = createContext<Longshore | null>(null)

/** Gives a Longshore, and its Apollo Client, to all below. */
export function LongshoreProvider({ longshore, children }: { longshore: Longshore; children: ReactNode }) {
  return (
    <LongshoreContext value={longshore}>
      <ApolloProvider client={longshore.apollo}>{children}</ApolloProvider>
    </LongshoreContext>
  )
}

/** @throws Error outside of a LongshoreProvider */
export function useLongshore(): Longshore {
  const longshore = useContext(LongshoreContext)
  if (!longshore) throw new Error('useLongshore needs a LongshoreProvider around it')
  return longshore
}

export function useAccess(): Access {
  return useStore(useLongshore().access)
}

/** Whether changes come in now. */
export function useConnection(): ConnectionState {
  return useStore(useLongshore().connection)
}

/** A deployment's log, live, while the component is there. */
export function useDeploymentLog(deploymentId: string): Log {
  const { apollo } = useLongshore()
  return useStore(useMemo(() => followLog(apollo, deploymentId), [apollo, deploymentId]))
}

function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.get)
}
