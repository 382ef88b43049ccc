export { createManualClock, type ManualClock } from './manual-clock.ts'
export { testStoreContract, type StoreBackend, type StoreContractOptions } from './store-contract.ts'
