"""CSV files as spreadsheets write them."""
