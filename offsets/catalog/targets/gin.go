package main

import "github.com/gin-gonic/gin"

func main() {
	engine := gin.New()
	engine.GET("/:id", func(c *gin.Context) { c.String(200, c.FullPath()) })
	println(engine.Run())
}
