import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Frontend } from './frontend.js'
import { createLongshore } from './longshore/longshore.js'
import { LongshoreProvider } from './longshore/react.js'
import './styles.css'

/** Without it the API is where the page is from. */
const url = import.meta.env.VITE_LONGSHORE_URL ?? location.origin
const root = document.getElementById('root')
if (!root) throw new Error('index.html has no element with the id root')

createRoot(root).render(
  <StrictMode>
    <LongshoreProvider longshore={createLongshore(url)}>
      <Frontend />
    </LongshoreProvider>
  </StrictMode>,
)
