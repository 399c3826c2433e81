"""Compare settings: train each with several seeds under one budget, and judge the differences."""
