/** The CPU worker's entry, inlined into the library. */
import { serveCpu } from "./worker-service.ts";

serveCpu();
